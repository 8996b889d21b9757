//! From creation to the exit record.

use std::fs;

use ferry_runtime::{Error, Exit, Monitor, Phase, Signal};

use super::{
    Test,
    fixture::{Fixture, wait},
};

pub(crate) const TESTS: &[Test] = &[
    ("a_container_runs_and_ends", a_container_runs_and_ends),
    ("exit_codes_and_signals_are_told", exit_codes_and_signals_are_told),
    ("a_created_container_waits", a_created_container_waits),
    (
        "what_was_never_started_is_undone_with_its_handle",
        what_was_never_started_is_undone,
    ),
    (
        "a_state_folder_is_used_again_at_once",
        a_state_folder_is_used_again_at_once,
    ),
    ("a_durable_record_is_written", a_durable_record_is_written),
];

fn a_container_runs_and_ends(fixture: &Fixture) {
    let plan = fixture.plan(&["true"]);
    let exit = plan.run(fixture);
    assert_eq!((exit.code, exit.signal, exit.oom_killed), (0, None, false));
    assert!(exit.started_at.unwrap() <= exit.finished_at);
    assert_eq!(Exit::read(&plan.launch.exit_record).unwrap(), Some(exit));
}

fn exit_codes_and_signals_are_told(fixture: &Fixture) {
    assert_eq!(fixture.shell("exit 42").run(fixture).code, 42);

    let plan = fixture.plan(&["sleep", "1000"]);
    let monitor = plan.start(fixture);
    let watch = monitor.watch().unwrap();
    monitor.signal(Signal::KILL).unwrap();
    let exit = wait(watch);
    assert_eq!((exit.code, exit.signal), (137, Some(9)));

    let plan = fixture.shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    let monitor = plan.start(fixture);
    let watch = monitor.watch().unwrap();
    while !plan.logged().contains("ready") {
        std::thread::yield_now();
    }
    monitor.signal(Signal::TERM).unwrap();
    assert_eq!(wait(watch).code, 7);
}

fn a_created_container_waits(fixture: &Fixture) {
    let plan = fixture.plan(&["true"]);
    let monitor = plan.launch(fixture).unwrap();
    let state = monitor.state().unwrap();
    assert_eq!(state.phase, Phase::Created);
    assert_eq!(state.pid, monitor.pid());
    let mine = fs::read_link("/proc/self/ns/net").unwrap();
    let its = fs::read_link(format!("/proc/{}/ns/net", state.pid)).unwrap();
    assert_ne!(mine, its);
    monitor.network_namespace().unwrap();
    monitor.pidfd().unwrap();

    let watch = monitor.watch().unwrap();
    let second = Monitor::connect(&plan.launch.state_dir).unwrap();
    second.start().unwrap();
    assert!(matches!(
        monitor.start(),
        Err(Error::AlreadyStarted | Error::NotRunning | Error::MonitorDied)
    ));
    assert_eq!(wait(watch).code, 0);
}

fn what_was_never_started_is_undone(fixture: &Fixture) {
    let plan = fixture.plan(&["true"]);
    let monitor = plan.launch(fixture).unwrap();
    let mut watch = monitor.watch().unwrap();
    drop(monitor);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut watch, &mut text).unwrap();
    assert_eq!(text, "");
    fixture.assert_nothing_left();
    assert!(!plan.launch.exit_record.exists());
}

fn a_state_folder_is_used_again_at_once(fixture: &Fixture) {
    let plan = fixture.plan(&["true"]).with(|launch| {
        let ferry_runtime::Root::Overlay(overlay) = &mut launch.root else {
            unreachable!()
        };
        overlay.volatile = false;
    });
    for _ in 0..5 {
        assert_eq!(plan.run(fixture).code, 0);
    }
}

fn a_durable_record_is_written(fixture: &Fixture) {
    let plan = fixture
        .shell("exit 3")
        .with(|launch| launch.durability = ferry_runtime::Durability::Durable);
    let exit = plan.run(fixture);
    assert_eq!(Exit::read(&plan.launch.exit_record).unwrap().unwrap(), exit);
    let names: Vec<_> = fs::read_dir(&plan.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !names.iter().any(|name| name.to_string_lossy().ends_with(".new")),
        "{names:?}"
    );
}
