//! `kill -9` of engine, zygote, monitors, or all at once: containers, logs, statuses and what is left.

use std::fs;

use ferry_tests::{Engine, Host, PLATFORMS, Process, Registry, eventually};

/// Prints a number every few milliseconds until it has printed 400, and ends with status 21.
const COUNTER: &str = "sh -c 'i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i; sleep 0.005; done; exit 21'";

/// Asserts that a log has all numbers from 1 to `last`, each once and in order.
fn counted(text: &str, last: u32) {
    let seen: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(seen, (1..=last).collect::<Vec<_>>());
}

#[test]
fn containers_outlive_the_engine() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh(&format!("ferry run -d --name counter busybox {COUNTER}"))
        .succeeds();
    engine.sh("ferry run -d --name sleeper busybox sleep 300").succeeds();
    let init = engine.init_of("sleeper");
    engine.kill();
    assert!(!init.is_gone(), "the container went with the engine");
    engine.restart();
    engine
        .sh("ferry ps --filter name=sleeper --format '{{.Names}} {{.State}}'")
        .succeeds()
        .prints("sleeper running");
    assert_eq!(engine.init_of("sleeper").pid, init.pid);
    engine.sh("ferry wait counter").succeeds().prints("21");
    counted(&engine.sh("ferry logs counter").succeeds().text(), 400);
    engine.sh("ferry exec sleeper echo alive").succeeds().prints("alive");
    engine
        .sh("ferry kill sleeper && ferry wait sleeper")
        .succeeds()
        .says("137");
}

#[test]
fn what_happened_while_the_engine_was_away_is_known() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name leaver busybox sh -c 'echo going; sleep 0.3; exit 33'")
        .succeeds();
    engine.sh("ferry run -d --rm --name brief busybox sleep 0.3").succeeds();
    let leaver = engine.init_of("leaver");
    let brief = engine.init_of("brief");
    engine.kill();
    eventually("both end by themselves", || {
        (leaver.is_gone() && brief.is_gone()).then_some(())
    });
    engine.restart();
    let state = engine.sh("ferry inspect -f '{{json .State}}' leaver").succeeds().json();
    assert_eq!(state["Status"], "exited");
    assert_eq!(state["ExitCode"], 33);
    engine.sh("ferry logs leaver").succeeds().prints("going");
    eventually("what was to be removed is", || {
        (engine.sh("ferry ps -aq").text().lines().count() == 1).then_some(())
    });
    engine
        .sh("ferry start leaver && ferry wait leaver")
        .succeeds()
        .says("33");
}

#[test]
fn a_foreground_run_survives_as_a_container() {
    let Some(engine) = Engine::with_busybox() else { return };
    let mut client = engine.background("ferry run --name fore busybox sh -c 'echo up; exec sleep 300'");
    client.until_says("up");
    engine.kill();
    let finished = client.finish();
    assert_ne!(
        finished.code(),
        0,
        "a client whose engine died does not know the status"
    );
    engine.comes_back();
    engine.sh("ferry ps --format '{{.Names}}'").succeeds().prints("fore");
}

#[test]
fn a_stopped_engine_leaves_containers_running() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh(&format!("ferry run -d --name counter busybox {COUNTER}"))
        .succeeds();
    let address = engine
        .sh("ferry inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' counter")
        .text();
    engine.stop();
    engine.restart();
    engine
        .sh("ferry inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' counter")
        .prints(&address);
    engine.sh("ferry wait counter").succeeds().prints("21");
    counted(&engine.sh("ferry logs counter").succeeds().text(), 400);
}

#[test]
fn the_zygote_is_born_again() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh("ferry run -d --name sleeper busybox sleep 300").succeeds();
    let zygote = engine.zygote();
    zygote.kill();
    eventually("it is gone", || zygote.is_gone().then_some(()));
    engine.sh("ferry run --rm busybox echo next").succeeds().prints("next");
    assert_ne!(engine.zygote().pid, zygote.pid);
    engine.sh("ferry exec sleeper echo alive").succeeds().prints("alive");
    engine
        .sh("ferry stop -t 0 sleeper && ferry wait sleeper")
        .succeeds()
        .says("137");
}

#[test]
fn a_container_does_not_outlive_its_monitor() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name lost busybox sh -c 'sleep 300 & sleep 300'")
        .succeeds();
    engine.sh("ferry run -d --name other busybox sleep 300").succeeds();
    let init = engine.init_of("lost");
    engine.monitor_of("lost").kill();
    engine.sh("ferry wait lost").succeeds().prints("137");
    eventually("its processes are gone", || init.is_gone().then_some(()));
    engine.sh("ferry ps --format '{{.Names}}'").succeeds().prints("other");
    engine
        .sh("ferry inspect -f '{{.State.Status}} {{.State.ExitCode}}' lost")
        .succeeds()
        .prints("exited 137");
    engine
        .sh("ferry start lost && ferry stop -t 0 lost && ferry rm lost")
        .succeeds();
}

#[test]
fn a_monitor_that_dies_while_the_engine_is_away_is_noticed() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name lost busybox sh -c 'sleep 300 & sleep 300'")
        .succeeds();
    let (init, monitor) = (engine.init_of("lost"), engine.monitor_of("lost"));
    engine.kill();
    monitor.kill();
    engine.restart();
    engine.sh("ferry wait lost").succeeds().prints("137");
    eventually("its processes are gone", || init.is_gone().then_some(()));
    engine.sh("ferry rm lost").succeeds();
}

#[test]
fn all_at_once_and_the_next_command_works() {
    let Some(engine) = Engine::with_busybox() else { return };
    for name in ["aa", "bb", "cc"] {
        engine
            .sh(&format!("ferry run -d --name {name} busybox sleep 300"))
            .succeeds();
    }
    engine
        .sh("ferry run -d --rm --name passing busybox sleep 300")
        .succeeds();
    let own: Vec<Process> = engine
        .processes()
        .into_iter()
        .filter(|process| !process.command_line.contains("sleep"))
        .collect();
    assert!(own.len() >= 6, "{own:?}");
    engine.kill();
    own.iter().for_each(Process::kill);
    engine.restart();
    engine.sh("ferry ps -q").succeeds().prints("");
    engine
        .sh("ferry ps -a --format '{{.Names}} {{.Status}}' | sort")
        .succeeds()
        .says("a Exited (137)")
        .says("c Exited (137)")
        .does_not_say("passing");
    engine
        .sh("ferry start aa && ferry exec aa echo again")
        .succeeds()
        .says("again");
}

#[test]
fn a_run_that_is_cut_short_leaves_nothing() {
    let Some(engine) = Engine::with_busybox() else { return };
    // At a different moment each time, from before the first request to after the start.
    for delay_ms in [0, 1, 2, 3, 4, 5, 7, 9, 12, 16, 25] {
        let client = engine.background("ferry run --rm busybox sleep 0.01");
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        engine.kill();
        engine.comes_back();
        client.finish();
        engine.sh("ferry run --rm busybox echo next").succeeds().prints("next");
    }
    // A container that was acknowledged and not yet attached to may be there; it reads as one legal state.
    let states = engine.sh("ferry ps -a --format '{{.State}}'").succeeds().text();
    assert!(
        states
            .lines()
            .all(|state| ["created", "running", "exited"].contains(&state)),
        "{states}"
    );
}

/// How many bytes the store holds in files.
fn stored_kb(engine: &Engine) -> u64 {
    let text = engine
        .host()
        .sh(&format!("du -sk {}", engine.data_root().display()))
        .text();
    text.split_whitespace()
        .next()
        .and_then(|kb| kb.parse().ok())
        .unwrap_or(0)
}

#[test]
fn a_build_that_is_cut_short_leaves_nothing() {
    let Some(engine) = Engine::start() else { return };
    if engine.make_busybox_for(&PLATFORMS[..2]).is_none() {
        return;
    }
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nRUN head -c 20000000 /dev/zero >/bulk\nRUN echo at-the-step; sleep 30\n",
    );
    let before = stored_kb(&engine);
    for _ in 0..2 {
        let mut client =
            engine.background("ferry build --progress plain --platform linux/amd64,linux/arm64 -t app app");
        client.until_says("at-the-step");
        engine.kill();
        assert_ne!(client.finish().code(), 0);
        engine.restart();
        let asleep = || {
            engine
                .processes()
                .iter()
                .any(|process| process.command_line.contains("sleep 30"))
        };
        eventually("its steps have ended", || (!asleep()).then_some(()));
    }
    engine.sh("ferry image inspect app").exits(1);
    engine.sh("ferry system prune -af").succeeds();
    engine.make_busybox_for(&PLATFORMS[..2]);
    let after = stored_kb(&engine);
    assert!(after < before + 5_000, "{before} kB before, {after} kB after");
    engine.file("app/Dockerfile", "FROM busybox\nRUN echo next >/note\n");
    engine
        .sh("ferry build -q -t app app && ferry run --rm app cat /note")
        .succeeds()
        .says("next");
}

#[test]
fn a_pull_and_a_push_that_are_cut_short_leave_nothing_and_can_be_repeated() {
    let Some(host) = Host::new() else { return };
    let Some(mut registry) = Registry::start(&host) else {
        return;
    };
    let engine = Engine::on(&host);
    if engine.make_busybox().is_none() {
        return;
    }
    let name = format!("{}/bulky", registry.address);
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nRUN head -c 40000000 /dev/urandom >/bulk\nRUN sha256sum /bulk >/sum\n",
    );
    engine.sh(&format!("ferry build -q -t {name} app")).succeeds();
    let digest = engine.digest(&name);
    for delay_ms in [5, 20, 60] {
        let push = engine.background(&format!("ferry push {name}"));
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        engine.kill();
        engine.comes_back();
        push.finish();
    }
    engine.sh(&format!("ferry push {name}")).succeeds().says(&digest);
    engine
        .sh(&format!("ferry rmi {name} && ferry system prune -af"))
        .succeeds();
    let empty = stored_kb(&engine);
    for delay_ms in [5, 20, 60, 120] {
        let pull = engine.background(&format!("ferry pull {name}"));
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        engine.kill();
        engine.comes_back();
        let code = pull.finish().code();
        let listed = engine.sh("ferry images -q").succeeds().text();
        assert!(!(code == 0 && listed.is_empty()), "an acknowledged pull is lost");
        if listed.is_empty() {
            // What was cut short goes to the trash, which a new engine empties beside its work.
            eventually("a half pull is gone", || {
                (stored_kb(&engine) < empty + 2_000).then_some(())
            });
        } else {
            engine
                .sh(&format!("ferry rmi {name} && ferry system prune -af"))
                .succeeds();
        }
    }
    // A registry that goes away in the middle is an error, and no more.
    let pull = engine.background(&format!("ferry pull {name}"));
    std::thread::sleep(std::time::Duration::from_millis(20));
    registry.kill();
    pull.finish();
    registry.serve();
    engine.sh(&format!("ferry pull {name}")).succeeds().says(&digest);
    engine
        .sh(&format!("ferry run --rm {name} sha256sum -c /sum"))
        .succeeds();
}

#[test]
fn two_engines_cannot_have_the_same_folders() {
    let Some(engine) = Engine::start() else { return };
    engine
        .sh(&format!(
            "ferry daemon --data-root {} --exec-root $PWD/other",
            engine.data_root().display()
        ))
        .exits(1)
        .complains(&engine.data_root().display().to_string());
    assert!(fs::exists(engine.exec_root().join("ferry.sock")).unwrap_or(false));
    engine.sh("ferry ps").succeeds();
}
