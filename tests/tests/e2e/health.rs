//! Health checks: what they say of a container, when they are made, and what is left of them.

use ferry_tests::{Engine, Events, eventually};
use serde_json::Value;

/// What an inspect shows as a container's health.
#[track_caller]
fn health(engine: &Engine, container: &str) -> Value {
    let shown = engine.sh(&format!("ferry inspect {container}")).succeeds().json();
    shown[0]["State"]["Health"].clone()
}

#[track_caller]
fn until(engine: &Engine, container: &str, status: &str) {
    eventually(&format!("{container} is {status}"), || {
        (health(engine, container)["Status"] == status).then_some(())
    });
}

/// When the last check began.
#[track_caller]
fn last_probe(engine: &Engine, container: &str) -> Option<String> {
    let log = health(engine, container)["Log"].clone();
    log.as_array()?.last()?["Start"].as_str().map(str::to_owned)
}

/// Folders that containers and execs have while they run.
fn folders(engine: &Engine) -> usize {
    std::fs::read_dir(engine.exec_root().join("containers")).map_or(0, Iterator::count)
}

#[test]
fn checks_tell_how_a_container_is() {
    let Some(engine) = Engine::with_busybox() else { return };
    let events = Events::of(&engine);
    engine
        .sh("ferry run -d --name box --health-cmd 'test -e /ok' --health-interval 300ms --health-retries 2 busybox sleep 300")
        .succeeds();
    engine
        .sh("ferry ps --filter health=starting --filter health=unhealthy --format '{{.Names}} {{.Status}}'")
        .succeeds()
        .says("box Up ")
        .says("health");
    until(&engine, "box", "unhealthy");
    events.until("health_status: unhealthy");
    engine
        .sh("ferry ps --filter health=unhealthy --format '{{.Names}} {{.Status}}'")
        .succeeds()
        .says("(unhealthy)");
    let seen = health(&engine, "box");
    assert!(seen["FailingStreak"].as_u64() >= Some(2), "{seen}");
    assert_eq!(seen["Log"][0]["ExitCode"], 1, "{seen}");
    engine.sh("ferry exec box touch /ok").succeeds();
    until(&engine, "box", "healthy");
    events.until("health_status: healthy");
    for action in ["exec_create", "exec_start"] {
        events.until(&format!("{action}: /bin/sh -c test -e /ok"));
    }
    events.until("exec_die");
    eventually("five checks are kept", || {
        (health(&engine, "box")["Log"].as_array().map(Vec::len) == Some(5)).then_some(())
    });
    assert_eq!(health(&engine, "box")["FailingStreak"], 0);
    engine
        .sh("ferry ps --filter health=none -q && ferry ps --filter health=healthy --format '{{.Status}}'")
        .succeeds()
        .says("(healthy)");
    engine.sh("ferry stop -t 0 box").succeeds();
    assert_eq!(health(&engine, "box")["Status"], "unhealthy", "nothing checks it");
    engine.sh("ferry start box").succeeds();
    assert_ne!(health(&engine, "box")["Status"], "unhealthy", "a new life");
    until(&engine, "box", "healthy");
}

#[test]
fn a_check_that_takes_too_long_is_killed() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name slow --health-cmd 'echo waiting; exec sleep 4321' --health-interval 100ms --health-timeout 300ms --health-retries 1 busybox sleep 300")
        .succeeds();
    until(&engine, "slow", "unhealthy");
    let seen = health(&engine, "slow");
    assert_eq!(seen["Log"][0]["ExitCode"], -1, "{seen}");
    assert_eq!(
        seen["Log"][0]["Output"], "Health check exceeded timeout (300ms): waiting\n",
        "{seen}"
    );
    engine.sh("ferry pause slow").succeeds();
    engine.sh("ferry unpause slow").succeeds();
    engine.sh("ferry stop -t 0 slow").succeeds();
    eventually("nothing of the checks is left", || {
        (folders(&engine) == 0).then_some(())
    });
    engine
        .sh("ferry run -d --name wrong --health-cmd x --health-interval 100ms --health-retries 1 busybox sleep 300")
        .succeeds();
    until(&engine, "wrong", "unhealthy");
    assert_eq!(health(&engine, "wrong")["Log"][0]["ExitCode"], 127);
    engine
        .sh("ferry run -d --name long --health-cmd 'i=0; while [ $i -lt 1000 ]; do echo 0123456789; i=$((i+1)); done' --health-interval 100ms busybox sleep 300")
        .succeeds();
    until(&engine, "long", "healthy");
    let output = health(&engine, "long")["Log"][0]["Output"].as_str().map(str::len);
    assert_eq!(output, Some(4096 + 3));
}

#[test]
fn an_image_says_how_its_containers_are_checked() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "checked/Dockerfile",
        "FROM busybox\nHEALTHCHECK --interval=200ms --retries=7 CMD true\nCMD [\"sleep\", \"300\"]\n",
    );
    engine.sh("ferry build -q -t checked checked").succeeds();
    engine.sh("ferry run -d --name own checked").succeeds();
    until(&engine, "own", "healthy");
    engine
        .sh("ferry run -d --name other --health-cmd false --health-retries 2 checked")
        .succeeds();
    until(&engine, "other", "unhealthy");
    let check = engine.sh("ferry inspect other").succeeds().json()[0]["Config"]["Healthcheck"].clone();
    assert_eq!(check["Test"], serde_json::json!(["CMD-SHELL", "false"]));
    assert_eq!(check["Interval"], 200_000_000);
    assert_eq!(check["Retries"], 2);
    engine
        .sh("ferry run -d --name none --no-healthcheck checked")
        .succeeds();
    assert_eq!(health(&engine, "none"), Value::Null);
    engine
        .sh("ferry ps --filter health=none --format '{{.Names}}'")
        .succeeds()
        .prints("none");
    engine
        .sh("ferry commit other again && ferry run -d --name heir again")
        .succeeds();
    until(&engine, "heir", "unhealthy");
    for (options, words) in [
        (
            "--no-healthcheck --health-cmd true",
            "--no-healthcheck conflicts with --health-* options",
        ),
        ("--health-retries -1", "Retries in Healthcheck cannot be negative"),
        ("--health-timeout 1us", "Timeout in Healthcheck cannot be less than 1ms"),
    ] {
        engine
            .sh(&format!("ferry create {options} checked"))
            .exits(125)
            .complains(words);
    }
    engine
        .sh("ferry ps --filter health=splendid")
        .exits(1)
        .complains("invalid value for health (splendid)");
}

#[test]
fn checks_rest_in_a_pause_and_go_on_after_the_engine() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name box --health-cmd true --health-interval 200ms busybox sleep 300")
        .succeeds();
    until(&engine, "box", "healthy");
    engine.sh("ferry pause box").succeeds();
    assert_eq!(health(&engine, "box")["Status"], "unhealthy", "nothing checks it");
    let before = last_probe(&engine, "box");
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(last_probe(&engine, "box"), before, "it was checked while paused");
    engine.sh("ferry unpause box").succeeds();
    until(&engine, "box", "healthy");
    engine
        .sh("ferry run -d --name rare --health-cmd true --health-start-period 1h --health-start-interval 100ms --health-interval 1h busybox sleep 300")
        .succeeds();
    until(&engine, "rare", "healthy");
    engine.kill();
    engine.restart();
    assert_eq!(health(&engine, "rare")["Status"], "healthy", "what was known is known");
    let before = last_probe(&engine, "box");
    assert!(before.is_some(), "the log was kept");
    eventually("it is checked on", || {
        (last_probe(&engine, "box") != before).then_some(())
    });
}
