//! A container's life: create, start, ps, inspect, wait, stop, kill, rm.

use ferry_tests::{Engine, eventually};
use serde_json::json;

const OBEDIENT: &str = "sh -c 'trap \"exit 0\" TERM; echo up; while :; do sleep 0.05; done'";

#[test]
fn from_create_to_remove() {
    let Some(engine) = Engine::with_busybox() else { return };
    let id = engine
        .sh("ferry create --name walker busybox sh -c 'echo step; exit 6'")
        .succeeds()
        .text();
    assert_eq!(id.len(), 64, "an id has 64 digits: {id}");
    engine
        .sh("ferry ps -a --format '{{.State}}'")
        .succeeds()
        .prints("created");
    engine.sh("ferry start -a walker").exits(6).prints("step");
    engine
        .sh("ferry start walker && ferry wait walker")
        .succeeds()
        .says("6");
    engine.sh("ferry logs walker").succeeds().prints("step\nstep");
    engine.sh("ferry ps -q").succeeds().prints("");
    engine
        .sh(&format!(
            "ferry ps -a --filter id={} --format '{{{{.Status}}}}'",
            &id[..12]
        ))
        .succeeds()
        .says("Exited (6)");
    engine.sh(&format!("ferry rm {}", &id[..8])).succeeds();
    engine.sh("ferry ps -aq").succeeds().prints("");
    engine.sh("ferry inspect walker").exits(1).complains("walker");
}

#[test]
fn names_are_unique_and_free_again_after_removal() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh(&format!("ferry run -d --name twin busybox {OBEDIENT}"))
        .succeeds();
    engine
        .sh("ferry run --rm --name twin busybox true")
        .exits(125)
        .complains("already in use")
        .complains("twin");
    engine.sh("ferry rm twin").exits(1).complains("running");
    engine.sh("ferry rm -f twin").succeeds();
    engine.sh("ferry run --rm --name twin busybox true").succeeds();
    engine.sh("ferry run --rm --name twin busybox true").succeeds();
}

#[test]
fn stop_asks_first_and_kill_does_not() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh(&format!("ferry run -d --name obedient busybox {OBEDIENT}"))
        .succeeds();
    let mut log = engine.background("ferry logs -f obedient");
    log.until_says("up");
    engine.sh("ferry stop obedient").succeeds().prints("obedient");
    engine.sh("ferry wait obedient").succeeds().prints("0");
    log.finish().succeeds();
    engine
        .sh("ferry start obedient && ferry kill -s KILL obedient")
        .succeeds();
    engine.sh("ferry wait obedient").succeeds().prints("137");
    engine.sh("ferry kill obedient").exits(1).complains("not running");
    engine.sh("ferry stop obedient").succeeds();
    engine
        .sh("ferry run -d --name deaf busybox sh -c 'trap \"\" TERM; while :; do sleep 0.05; done'")
        .succeeds();
    engine
        .sh("ferry stop -t 1 deaf && ferry wait deaf")
        .succeeds()
        .says("137");
    engine.sh("ferry kill -s NOSUCH deaf").exits(1);
}

#[test]
fn wait_returns_when_the_process_ends() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d -i --name reader busybox sh -c 'read line; exit $line'")
        .succeeds();
    let mut waiter = engine.background("ferry wait reader");
    assert!(waiter.is_running());
    engine.shell().sh_with_input("ferry attach reader", b"17\n");
    waiter.finish().succeeds().prints("17");
}

#[test]
fn a_container_that_removes_itself_leaves_nothing() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh("ferry run -d --rm --name brief busybox true").succeeds();
    eventually("it is gone", || {
        engine.sh("ferry ps -aq").text().is_empty().then_some(())
    });
    engine.sh("ferry run -d --rm --name long busybox sleep 300").succeeds();
    engine.sh("ferry stop -t 0 long").succeeds();
    eventually("it is gone", || {
        engine.sh("ferry ps -aq").text().is_empty().then_some(())
    });
}

#[test]
fn lists_are_filtered_and_formatted() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name sleeper --label crew=night busybox sleep 300")
        .succeeds();
    engine
        .sh("ferry run --name done --label crew=day busybox true")
        .succeeds();
    engine
        .sh("ferry run --name failed --label crew=day busybox false")
        .exits(1);
    engine.sh("ferry create --name waiting busybox true").succeeds();
    for (filter, names) in [
        ("", "sleeper"),
        ("-a", "waiting failed done sleeper"),
        ("-a --filter status=exited", "failed done"),
        ("-a --filter status=created", "waiting"),
        ("--filter status=running", "sleeper"),
        ("-a --filter exited=1", "failed"),
        ("-a --filter name=slee", "sleeper"),
        ("-a --filter label=crew", "failed done sleeper"),
        ("-a --filter label=crew=day", "failed done"),
        ("-a --filter ancestor=busybox --filter label=crew=night", "sleeper"),
        ("-n 2", "waiting failed"),
        ("-l", "waiting"),
    ] {
        let listed = engine
            .sh(&format!("ferry ps {filter} --format '{{{{.Names}}}}'"))
            .succeeds()
            .text();
        assert_eq!(
            listed.split_whitespace().collect::<Vec<_>>().join(" "),
            names,
            "ferry ps {filter}"
        );
    }
    engine
        .sh("ferry ps -a")
        .succeeds()
        .says("CONTAINER ID")
        .says("busybox")
        .says("sleeper")
        .says("Up ");
    engine
        .sh("ferry create --name quoted busybox sh -c 'sleep 1'")
        .succeeds();
    engine
        .sh("ferry ps -l --format '{{.Command}}'")
        .succeeds()
        .prints("\"sh -c 'sleep 1'\"");
    let row = engine.sh("ferry ps --format json").succeeds().json();
    assert_eq!(row["Names"], "sleeper");
    assert_eq!(row["State"], "running");
    engine.sh("ferry ps --filter nonsense=1").exits(1).complains("nonsense");
}

#[test]
fn inspect_tells_what_is() {
    let Some(engine) = Engine::with_busybox() else { return };
    let id = engine
        .sh("ferry run -d --name subject -e A=b -w /tmp -u 7 --label l=m busybox sleep 300")
        .succeeds()
        .text();
    let seen = engine.sh("ferry inspect subject").succeeds().json();
    let seen = &seen[0];
    assert_eq!(seen["Id"], json!(id));
    assert_eq!(seen["Name"], "/subject");
    assert_eq!(seen["State"]["Status"], "running");
    assert_eq!(seen["State"]["Running"], true);
    assert_eq!(seen["State"]["ExitCode"], 0);
    assert_eq!(seen["Path"], "sleep");
    assert_eq!(seen["Args"], json!(["300"]));
    assert_eq!(seen["Config"]["Image"], "busybox");
    assert_eq!(seen["Config"]["User"], "7");
    assert_eq!(seen["Config"]["WorkingDir"], "/tmp");
    assert_eq!(seen["Config"]["Labels"]["l"], "m");
    assert_eq!(
        seen["HostConfig"]["NetworkMode"].as_str().map(str::is_empty),
        Some(false)
    );
    assert_eq!(seen["Image"], json!(engine.digest("busybox")));
    assert!(
        seen["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].is_string(),
        "{seen}"
    );
    assert!(seen["State"]["Pid"].as_u64().is_some_and(|pid| pid > 1));
    assert!(
        seen["Created"].as_str().is_some_and(|text| text.ends_with('Z')),
        "{seen}"
    );
    engine.sh("ferry kill subject && ferry wait subject").succeeds();
    let state = engine
        .sh("ferry inspect -f '{{json .State}}' subject")
        .succeeds()
        .json();
    assert_eq!(state["Status"], "exited");
    assert_eq!(state["ExitCode"], 137);
    assert_eq!(state["Pid"], 0);
    assert!(state["FinishedAt"].as_str() > state["StartedAt"].as_str(), "{state}");
}

#[test]
fn what_is_not_there_is_named() {
    let Some(engine) = Engine::start() else { return };
    for verb in [
        "start", "stop", "kill", "wait", "logs", "rm", "inspect", "attach", "restart",
    ] {
        engine.sh(&format!("ferry {verb} ghost")).exits(1).complains("ghost");
    }
    engine.sh("ferry exec ghost true").exits(1).complains("ghost");
}
