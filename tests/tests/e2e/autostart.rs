//! The engine starts with the first command that needs it, once, and says why when it cannot.

use ferry_tests::{Engine, Host, Setup};

#[test]
fn the_first_command_starts_the_engine_and_later_ones_find_it() {
    let Some(host) = Host::new() else { return };
    let engine = Engine::not_started(&host, Setup::default());
    engine.sh("ferry ps").succeeds().says("CONTAINER ID");
    let pid = engine.process().pid;
    engine.sh("ferry images").succeeds();
    assert_eq!(engine.process().pid, pid);
    engine.kill();
    engine.sh("ferry ps").succeeds();
    assert_ne!(engine.process().pid, pid);
}

#[test]
fn any_command_can_be_the_first() {
    for first in [
        "ferry build -q -t empty app",
        "ferry load -i none.tar",
        "ferry pull 127.0.0.1:1/x",
        "ferry run --rm 127.0.0.1:1/x",
        "ferry platform ls",
    ] {
        let Some(host) = Host::new() else { return };
        let engine = Engine::not_started(&host, Setup::default());
        engine.file("app/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
        engine.sh(first);
        engine.sh("ferry ps -q").succeeds();
    }
}

#[test]
fn of_several_first_commands_one_starts_it() {
    let Some(host) = Host::new() else { return };
    let engine = Engine::not_started(&host, Setup::default());
    let clients: Vec<_> = (0..6).map(|_| engine.background("ferry ps -q")).collect();
    for client in clients {
        client.finish().succeeds();
    }
    let engines = engine
        .processes()
        .iter()
        .filter(|process| process.command_line.contains(" daemon"))
        .count();
    assert_eq!(engines, 1);
}

#[test]
fn an_engine_that_cannot_start_says_why() {
    let Some(host) = Host::new() else { return };
    let engine = Engine::not_started(&host, Setup::default());
    engine.file("file", "in the way");
    engine
        .sh("FERRY_DATA_ROOT=$PWD/file ferry ps")
        .exits(1)
        .complains("file");
}

#[test]
fn help_and_version_need_no_engine() {
    let Some(host) = Host::new() else { return };
    let engine = Engine::not_started(&host, Setup::default());
    engine.sh("ferry --version").succeeds().says("ferry");
    engine.sh("ferry --help").succeeds().says("run").says("build");
    engine.sh("ferry run --help").succeeds().says("--network");
    engine.sh("ferry imagse").exits(1).complains("images");
    engine
        .sh("ferry -H unix:///no/such.sock ps")
        .exits(1)
        .complains("/no/such.sock");
    engine.host().sh("test ! -e one/run/ferry.sock").succeeds();
}
