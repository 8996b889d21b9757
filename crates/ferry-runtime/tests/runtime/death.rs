//! Sudden ends: of the engine's handle, the zygote, a monitor.

use std::{fs, io::Read};

use ferry_runtime::{Error, Exit, Monitor, Phase, Remains, Signal, Zygote, ZygoteOptions};
use rustix::process::{Pid, Signal as RustixSignal, kill_process};

use super::{
    Test,
    fixture::{Fixture, wait},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_container_outlives_engine_and_zygote",
        a_container_outlives_engine_and_zygote,
    ),
    ("a_killed_zygote_is_spawned_again", a_killed_zygote_is_spawned_again),
    (
        "a_killed_monitor_takes_its_container_along",
        a_killed_monitor_takes_its_container_along,
    ),
    (
        "a_monitor_may_be_killed_at_any_moment",
        a_monitor_may_be_killed_at_any_moment,
    ),
    (
        "our_program_cannot_be_written_through_proc",
        our_program_cannot_be_written,
    ),
    ("many_launches_at_once", many_launches_at_once),
];

fn pid(number: i32) -> Pid {
    Pid::from_raw(number).unwrap()
}

fn a_container_outlives_engine_and_zygote(fixture: &Fixture) {
    let plan = fixture.shell("read x; echo $x; exit 4").with(|launch| {
        launch.stdio.stdin = ferry_runtime::Stdin::Open;
    });
    let zygote = Zygote::spawn(ZygoteOptions::new(fixture.cgroups.path().clone())).unwrap();
    let monitor = zygote.launch(&plan.launch).unwrap();
    monitor.start().unwrap();
    drop(monitor);
    drop(zygote);

    let monitor = Monitor::connect(&plan.launch.state_dir).unwrap();
    let state = monitor.state().unwrap();
    assert!(matches!(state.phase, Phase::Running { .. }), "{state:?}");
    assert!(Remains::find(&plan.launch.state_dir).unwrap().is_none());
    let watch = monitor.watch().unwrap();
    let mut client = monitor.attach(super::fixture::ALL).unwrap();
    std::io::Write::write_all(&mut client, b"still here\n").unwrap();
    assert_eq!(wait(watch).code, 4);
    assert_eq!(plan.logged(), "still here\n");
    assert_eq!(Exit::read(&plan.launch.exit_record).unwrap().unwrap().code, 4);
}

fn a_killed_zygote_is_spawned_again(fixture: &Fixture) {
    let running = fixture.plan(&["sleep", "1000"]);
    let monitor = running.start(fixture);
    for _ in 0..3 {
        let before = fixture.zygote.pid();
        kill_process(pid(before), RustixSignal::KILL).unwrap();
        assert_eq!(fixture.plan(&["true"]).run(fixture).code, 0);
        assert_ne!(fixture.zygote.pid(), before);
    }
    let watch = monitor.watch().unwrap();
    monitor.signal(Signal::KILL).unwrap();
    assert_eq!(wait(watch).code, 137);
}

fn a_killed_monitor_takes_its_container_along(fixture: &Fixture) {
    let plan = fixture.plan(&["sleep", "1000"]);
    let monitor = plan.start(fixture);
    let mut watch = monitor.watch().unwrap();
    let process = monitor.pidfd().unwrap();
    kill_process(pid(parent_of(monitor.pid())), RustixSignal::KILL).unwrap();
    let mut text = String::new();
    watch.read_to_string(&mut text).unwrap();
    assert_eq!(text, "", "a monitor that was killed tells nothing");
    assert!(matches!(monitor.state(), Err(Error::MonitorDied)));
    assert!(matches!(
        Monitor::connect(&plan.launch.state_dir),
        Err(Error::Gone { .. })
    ));

    // It ends with its monitor; a descriptor of a dead process is readable.
    let mut set = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut set, None).unwrap();

    let remains = Remains::find(&plan.launch.state_dir).unwrap().unwrap();
    assert_eq!(remains.cgroup(), Some(&plan.launch.cgroup));
    remains.clear(&fixture.cgroups).unwrap();
    assert_eq!(fs::read_dir(&plan.launch.state_dir).unwrap().count(), 0);
    assert!(Remains::find(&plan.launch.state_dir).unwrap().is_none());
}

fn parent_of(process: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    line.trim().parse().unwrap()
}

/// Wherever it was, a next look finds what is to be cleared, and then nothing is left.
fn a_monitor_may_be_killed_at_any_moment(fixture: &Fixture) {
    for round in 0..60 {
        let plan = fixture.plan(&["sleep", "1000"]);
        let zygote = fixture.zygote.pid();
        let children = format!("/proc/{zygote}/task/{zygote}/children");
        // Former monitors that have told their end may still be there.
        while !fs::read_to_string(&children).unwrap().is_empty() {
            std::thread::yield_now();
        }
        std::thread::scope(|scope| {
            let launched = scope.spawn(|| plan.launch(fixture).and_then(|monitor| monitor.start()));
            let monitor = loop {
                let text = fs::read_to_string(&children).unwrap();
                if let Some(child) = text.split_whitespace().next() {
                    break child.parse().unwrap();
                }
                if launched.is_finished() {
                    let monitor = Monitor::connect(&plan.launch.state_dir).unwrap();
                    break parent_of(monitor.pid());
                }
            };
            // Later by 200 µs from round to round, so that each step has its turn.
            let begin = std::time::Instant::now();
            while begin.elapsed() < std::time::Duration::from_micros(200 * round) {}
            let _ = kill_process(pid(monitor), RustixSignal::KILL);
            let _ = launched.join().unwrap();
        });
        for _ in 0..1000 {
            if let Some(remains) = Remains::find(&plan.launch.state_dir).unwrap() {
                remains.clear(&fixture.cgroups).unwrap();
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(
            fs::read_dir(&plan.launch.state_dir).unwrap().count(),
            0,
            "round {round}"
        );
        fixture.assert_nothing_left();
    }
}

/// Source: CVE-2019-5736.
fn our_program_cannot_be_written(fixture: &Fixture) {
    let monitor = fixture.plan(&["true"]).launch(fixture).unwrap();
    let exe = format!("/proc/{}/exe", monitor.pid());
    let name = fs::read_link(&exe).unwrap();
    assert!(name.to_string_lossy().starts_with("/memfd:"), "{name:?}");
    let written = fs::OpenOptions::new()
        .write(true)
        .open(&exe)
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"x"));
    assert!(written.is_err());
}

fn many_launches_at_once(fixture: &Fixture) {
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..4 {
                    assert_eq!(fixture.plan(&["true"]).run(fixture).code, 0);
                }
            });
        }
    });
}
