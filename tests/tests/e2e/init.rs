//! `--init`: process 1 that starts the command, passes signals on, reaps, and ends as the command does.

use ferry_tests::{Engine, PLATFORMS, eventually};

#[test]
fn an_init_starts_the_command_and_ends_as_it_does() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run --rm --init busybox sh -c 'tr \"\\0\" \" \" < /proc/1/cmdline; echo; cat /proc/1/comm; [ $$ = 1 ] || echo child'")
        .succeeds()
        .says("/sbin/docker-init -- sh -c ")
        .says("docker-init\nchild");
    for (command, code) in [("true", 0), ("sh -c 'exit 7'", 7), ("sh -c 'kill -9 $$'", 137)] {
        engine
            .sh(&format!("ferry run --rm --init busybox {command}"))
            .exits(code);
    }
    engine
        .sh("ferry run --rm --init busybox ghost")
        .exits(127)
        .complains("exec: \"ghost\": executable file not found in $PATH");
    engine.sh("ferry run --rm --init busybox /etc").exits(126);
    engine
        .sh("ferry run --rm --init -u 1000 --read-only busybox id -u")
        .succeeds()
        .prints("1000");
    engine
        .sh("echo in | ferry run --rm -i --init busybox cat")
        .succeeds()
        .prints("in");
    engine
        .sh("ferry run --rm --init --pid host busybox sh -c 'echo up'")
        .succeeds()
        .prints("up");
    engine.sh("ferry create --name kept --init busybox true").succeeds();
    let shown = engine.sh("ferry inspect kept").succeeds().json();
    assert_eq!(shown[0]["HostConfig"]["Init"], true);
    assert_eq!(shown[0]["Path"], "true");
}

#[test]
fn an_init_passes_signals_on_and_reaps() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name trap --init busybox sh -c 'trap \"echo got; exit 5\" USR1; echo ready; while :; do sleep 0.1; done'")
        .succeeds();
    eventually("the trap is set", || {
        engine.sh("ferry logs trap").text().contains("ready").then_some(())
    });
    engine
        .sh("ferry kill -s USR1 trap && ferry wait trap")
        .succeeds()
        .says("5");
    engine.sh("ferry logs trap").succeeds().says("got");
    // Process 1 that sets no handler hears no SIGTERM; the command does.
    engine
        .sh("ferry run -d --name sleeper --init busybox sleep 300")
        .succeeds();
    engine
        .sh("ferry exec sleeper sh -c '(sleep 0.2 &); (sleep 0.2 &)'")
        .succeeds();
    eventually("orphans are reaped", || {
        let left = engine.sh("ferry exec sleeper sh -c 'cat /proc/[0-9]*/comm 2>/dev/null | grep -c sleep'");
        (left.text() == "1").then_some(())
    });
    engine
        .sh("ferry stop -t 3600 sleeper && ferry wait sleeper")
        .succeeds()
        .says("143");
}

#[test]
fn a_command_under_an_init_has_the_terminal() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d -t --name term --init busybox sh -c 'cut -d\" \" -f5,8 /proc/$$/stat'")
        .succeeds();
    engine.sh("ferry wait term").succeeds().prints("0");
    let text = engine.sh("ferry logs term").succeeds().text();
    let (group, foreground) = text.trim().split_once(' ').expect("two numbers");
    assert_eq!(group, foreground, "its group is the terminal's");
}

#[test]
fn nobody_inside_can_write_the_init() {
    let Some(engine) = Engine::with_busybox() else { return };
    for options in ["", "--privileged"] {
        let written = engine.sh(&format!(
            "ferry run --rm {options} --init busybox sh -c 'echo x > /proc/1/exe'"
        ));
        assert_ne!(written.code(), 0, "{options}: {}", written.all());
    }
    engine.sh("ferry run --rm --init busybox true").succeeds();
}

#[test]
fn a_foreign_command_can_have_an_init() {
    let Some(engine) = Engine::start() else { return };
    // The first two are amd64 and arm64.
    if engine.make_busybox_for(&PLATFORMS[..2]).is_none() {
        return;
    }
    engine
        .sh("ferry run --rm --init --platform linux/arm64 busybox sh -c 'uname -m; cat /proc/1/comm; exit 9'")
        .exits(9)
        .says("aarch64\ndocker-init");
}
