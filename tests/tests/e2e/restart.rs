//! Restart policies: what is started again, when, and what ends that.

use ferry_tests::{Engine, Events, Finished, eventually};

/// A process that notes its start and ends with status 3.
const FAILS: &str = "sh -c 'echo started; exit 3'";

#[track_caller]
fn inspect(engine: &Engine, container: &str, field: &str) -> String {
    engine
        .sh(&format!("ferry inspect -f '{{{{{field}}}}}' {container}"))
        .succeeds()
        .text()
}

/// Waits until a container is in a state.
#[track_caller]
fn until(engine: &Engine, container: &str, state: &str) {
    eventually(&format!("{container} is {state}"), || {
        (inspect(engine, container, ".State.Status") == state).then_some(())
    });
}

/// How often it has started, by its log.
#[track_caller]
fn starts(engine: &Engine, container: &str) -> usize {
    let log = engine.sh(&format!("ferry logs {container}")).succeeds().text();
    log.lines().filter(|line| *line == "started").count()
}

#[track_caller]
fn run(engine: &Engine, options: &str, command: &str) -> Finished {
    engine.sh(&format!("ferry run -d {options} busybox {command}"))
}

#[test]
fn a_failing_container_is_tried_so_often() {
    let Some(engine) = Engine::with_busybox() else { return };
    let events = Events::of(&engine);
    run(&engine, "--name thrice --restart on-failure:2", FAILS).succeeds();
    eventually("it is given up", || {
        (inspect(&engine, "thrice", ".State.Status") == "exited").then_some(())
    });
    assert_eq!(starts(&engine, "thrice"), 3);
    assert_eq!(inspect(&engine, "thrice", ".RestartCount"), "2");
    assert_eq!(inspect(&engine, "thrice", ".State.ExitCode"), "3");
    let policy = inspect(&engine, "thrice", "json .HostConfig.RestartPolicy");
    assert_eq!(policy, r#"{"MaximumRetryCount":2,"Name":"on-failure"}"#);
    let told: Vec<String> = events.actions();
    let lives = told.iter().filter(|action| ["start", "die"].contains(&action.as_str()));
    let lives: Vec<&str> = lives.map(String::as_str).collect();
    assert_eq!(lives, ["start", "die", "start", "die", "start", "die"]);
    run(&engine, "--name content --restart on-failure", "true").succeeds();
    until(&engine, "content", "exited");
    assert_eq!(inspect(&engine, "content", ".RestartCount"), "0");
    // Somebody's start counts anew.
    engine.sh("ferry start thrice").succeeds();
    eventually("it is given up again", || {
        (starts(&engine, "thrice") == 6).then_some(())
    });
    until(&engine, "thrice", "exited");
}

#[test]
fn a_container_that_waits_for_its_restart_says_so_and_can_be_stopped() {
    let Some(engine) = Engine::with_busybox() else { return };
    run(&engine, "--name loop --restart always", FAILS).succeeds();
    // The waits double, so that it is soon found in one.
    eventually("some restarts", || (starts(&engine, "loop") >= 5).then_some(()));
    until(&engine, "loop", "restarting");
    engine
        .sh("ferry ps --filter status=restarting --format '{{.Names}} {{.State}} {{.Status}}'")
        .succeeds()
        .says("loop restarting Restarting (3) ");
    let state = engine.sh("ferry inspect loop").succeeds().json();
    let state = &state[0]["State"];
    assert_eq!(
        (&state["Restarting"], &state["Running"], &state["Pid"]),
        (&true.into(), &true.into(), &0.into()),
        "{state}"
    );
    engine.sh("ferry start loop").succeeds();
    for (command, words) in [
        ("exec loop true", "is restarting, wait until the container is running"),
        ("pause loop", "is restarting, wait until the container is running"),
        (
            "rm loop",
            "container is restarting: stop the container before removing or force remove",
        ),
    ] {
        until(&engine, "loop", "restarting");
        let refused = engine.sh(&format!("ferry {command}"));
        assert_ne!(refused.code(), 0, "{command}: {}", refused.all());
        refused.complains(words);
    }
    engine.sh("ferry wait loop").succeeds().prints("3");
    engine.sh("ferry stop loop").succeeds();
    assert_eq!(inspect(&engine, "loop", ".State.Status"), "exited");
    let count = starts(&engine, "loop");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(starts(&engine, "loop"), count, "a stopped container was started");
    // Each other way to end it.
    engine.sh("ferry start loop && ferry kill loop").succeeds();
    until(&engine, "loop", "exited");
    engine
        .sh("ferry start loop && ferry update --restart no loop")
        .succeeds();
    until(&engine, "loop", "exited");
    engine
        .sh("ferry update --restart unless-stopped loop && ferry start loop")
        .succeeds();
    eventually("it goes round", || (starts(&engine, "loop") > count + 3).then_some(()));
    engine.sh("ferry rm -f loop").succeeds();
    engine.sh("ferry inspect loop").exits(1);
}

#[test]
fn an_engine_starts_what_is_to_run() {
    let Some(engine) = Engine::with_busybox() else { return };
    for (name, policy) in [
        ("always", "always"),
        ("unless", "unless-stopped"),
        ("stopped", "unless-stopped"),
        ("alwaysstopped", "always"),
        ("plain", "no"),
        ("leaver", "unless-stopped"),
    ] {
        run(&engine, &format!("--name {name} --restart {policy}"), "sleep 300").succeeds();
    }
    engine
        .sh("ferry create --name never --restart always busybox sleep 300")
        .succeeds();
    run(&engine, "--name failing --restart always", FAILS).succeeds();
    engine.sh("ferry stop -t 0 stopped alwaysstopped").succeeds();
    let survivor = engine.init_of("unless");
    let leaver = engine.init_of("leaver");
    let monitors = ["always", "plain"].map(|name| engine.monitor_of(name));
    let count = starts(&engine, "failing");
    engine.kill();
    leaver.kill();
    for monitor in monitors {
        monitor.kill();
    }
    eventually("its end is written", || leaver.is_gone().then_some(()));
    engine.restart();
    for name in ["always", "alwaysstopped", "leaver", "unless"] {
        until(&engine, name, "running");
        assert_eq!(inspect(&engine, name, ".RestartCount"), "0", "{name}");
    }
    assert_eq!(engine.init_of("unless").pid, survivor.pid, "it ran and was let be");
    for (name, state) in [("stopped", "exited"), ("plain", "exited"), ("never", "created")] {
        assert_eq!(inspect(&engine, name, ".State.Status"), state, "{name}");
    }
    eventually("it goes round again", || {
        (starts(&engine, "failing") > count + 1).then_some(())
    });
    // One that was stopped is no longer once somebody starts it.
    engine.sh("ferry start stopped").succeeds();
    engine.init_of("stopped").kill();
    eventually("it is started again", || {
        (inspect(&engine, "stopped", ".RestartCount") == "1").then_some(())
    });
}

#[test]
fn a_boot_starts_what_ran() {
    let Some(engine) = Engine::with_busybox() else { return };
    run(&engine, "--name always --restart always", "sleep 300").succeeds();
    run(&engine, "--name failed --restart on-failure", "sleep 300").succeeds();
    run(&engine, "--name stopped --restart unless-stopped", "sleep 300").succeeds();
    engine.sh("ferry stop -t 0 stopped").succeeds();
    engine.kill();
    eventually("nothing of it runs", || {
        let left = engine.processes();
        left.iter().for_each(ferry_tests::Process::kill);
        left.is_empty().then_some(())
    });
    std::fs::remove_dir_all(engine.exec_root().join("containers")).expect("what a boot empties");
    engine.restart();
    until(&engine, "always", "running");
    until(&engine, "failed", "running");
    assert_eq!(inspect(&engine, "stopped", ".State.Status"), "exited");
}

#[test]
fn a_container_that_removes_itself_can_be_restarted() {
    let Some(engine) = Engine::with_busybox() else { return };
    run(&engine, "--rm --name brief", "sleep 300").succeeds();
    let first = engine.init_of("brief");
    engine.sh("ferry exec brief touch /kept").succeeds();
    engine.sh("ferry restart -t 0 brief").succeeds();
    assert_ne!(engine.init_of("brief").pid, first.pid);
    engine.sh("ferry exec brief ls /kept").succeeds();
    engine.sh("ferry stop -t 0 brief").succeeds();
    engine.sh("ferry inspect brief").exits(1);
}

#[test]
fn policies_that_cannot_be_are_refused() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry create --rm --restart always busybox true")
        .complains("conflicting options: cannot specify both --restart and --rm");
    for policy in ["sometimes", "always:3", "on-failure:x"] {
        engine
            .sh(&format!("ferry create --restart {policy} busybox true"))
            .complains("invalid restart policy");
    }
    engine
        .sh("ferry run -d --rm --name brief busybox sleep 300 && ferry update --restart always brief")
        .exits(1)
        .complains("Restart policy cannot be updated because AutoRemove is enabled for the container");
}
