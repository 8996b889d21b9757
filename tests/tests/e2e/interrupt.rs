//! Ctrl-C during run, build, pull and push: the command ends, the next one works, nothing is left.

use ferry_tests::{Engine, Host, Registry, eventually};
use rustix::process::Signal;

#[test]
fn run_ends_with_the_process() {
    let Some(engine) = Engine::with_busybox() else { return };
    let mut running = engine
        .background("ferry run --rm busybox sh -c 'trap \"exit 130\" INT; echo up; while :; do sleep 0.05; done'");
    running.until_says("up");
    running.signal(Signal::INT);
    running.finish().exits(130);
    eventually("it is gone", || {
        engine.sh("ferry ps -aq").text().is_empty().then_some(())
    });
}

#[test]
fn a_build_stops_its_steps() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("app/Dockerfile", "FROM busybox\nRUN echo at-the-step; sleep 300\n");
    let mut running = engine.background("ferry build --progress plain -t app app");
    running.until_says("at-the-step");
    running.signal(Signal::INT);
    let finished = running.finish();
    assert_ne!(finished.code(), 0, "{}", finished.all());
    let asleep = || {
        engine
            .processes()
            .iter()
            .any(|process| process.command_line.contains("sleep 300"))
    };
    eventually("the step has ended", || (!asleep()).then_some(()));
    engine.sh("ferry image inspect app").exits(1);
    engine.file("app/Dockerfile", "FROM busybox\nRUN echo next >/note\n");
    engine
        .sh("ferry build -q -t app app && ferry run --rm app cat /note")
        .succeeds()
        .says("next");
}

#[test]
fn transfers_end_and_can_be_repeated() {
    let Some(host) = Host::new() else { return };
    let Some(registry) = Registry::start(&host) else { return };
    let engine = Engine::on(&host);
    if engine.make_busybox().is_none() {
        return;
    }
    let name = format!("{}/bulky", registry.address);
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nRUN head -c 40000000 /dev/urandom >/bulk\n",
    );
    engine.sh(&format!("ferry build -q -t {name} app")).succeeds();
    let digest = engine.digest(&name);
    for verb in ["push", "pull"] {
        for delay_ms in [5, 40] {
            let running = engine.background(&format!("ferry {verb} {name}"));
            std::thread::sleep(std::time::Duration::from_millis(delay_ms));
            running.signal(Signal::INT);
            running.finish();
        }
        engine.sh(&format!("ferry {verb} {name}")).succeeds().says(&digest);
        if verb == "push" {
            engine.sh(&format!("ferry rmi {name}")).succeeds();
        }
    }
    engine.sh(&format!("ferry run --rm {name} true")).succeeds();
}

#[test]
fn a_client_that_is_killed_leaves_nothing_half_made() {
    let Some(engine) = Engine::with_busybox() else { return };
    for delay_ms in [0, 2, 4, 8, 16] {
        let running = engine.background("ferry run --rm busybox true");
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        running.signal(Signal::KILL);
        running.finish();
    }
    let mut running = engine.background("ferry run --rm --name orphan busybox sh -c 'echo up; sleep 300'");
    running.until_says("up");
    running.signal(Signal::KILL);
    running.finish();
    // As with Docker, the container is the engine's, not the client's.
    engine.sh("ferry stop -t 0 orphan").succeeds();
    eventually("it is removed", || {
        engine.sh("ferry ps -q").text().is_empty().then_some(())
    });
}
