//! What containers write ends up in the log.

use super::{
    Test,
    fixture::{ALL, Fixture, parent_of, wait},
};

pub(crate) const TESTS: &[Test] = &[
    ("output_is_logged_by_stream", output_is_logged_by_stream),
    ("much_output_is_logged_whole", much_output_is_logged_whole),
    ("logs_rotate", logs_rotate),
    ("a_flood_does_not_grow_its_monitor", a_flood_does_not_grow_its_monitor),
];

fn output_is_logged_by_stream(fixture: &Fixture) {
    let plan = fixture.shell("echo out; echo err >&2; printf unfinished");
    assert_eq!(plan.run(fixture).code, 0);
    let mut lines = plan.log_lines();
    lines.sort();
    let want = [("stderr", "err\n"), ("stdout", "out\n"), ("stdout", "unfinished")];
    assert_eq!(lines, want.map(|(stream, text)| (stream.to_owned(), text.to_owned())));
}

fn much_output_is_logged_whole(fixture: &Fixture) {
    let plan = fixture.shell("seq 1 200000");
    assert_eq!(plan.run(fixture).code, 0);
    let logged = plan.logged();
    let numbers: Vec<u32> = logged.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=200_000), "{} lines", numbers.len());
}

fn logs_rotate(fixture: &Fixture) {
    let plan = fixture.shell("seq 1 1000");
    let path = plan.folder.join("log");
    let plan = plan.with(|launch| {
        launch.stdio.log = ferry_runtime::Log::JsonFile {
            path: path.clone(),
            max_size_bytes: Some(10_000),
            max_files: 3,
        };
    });
    plan.run(fixture);
    for (name, exists) in [("log", true), ("log.1", true), ("log.2", true), ("log.3", false)] {
        let file = plan.folder.join(name);
        assert_eq!(file.exists(), exists, "{name}");
        if exists {
            assert!(file.metadata().unwrap().len() <= 10_000);
        }
    }
    assert!(plan.logged().ends_with("1000\n"));
}

fn a_flood_does_not_grow_its_monitor(fixture: &Fixture) {
    const ENOUGH_KIB: u64 = 4096;
    let plan = fixture.plan(&["yes"]);
    let path = plan.folder.join("log");
    let plan = plan.with(|launch| {
        launch.stdio.log = ferry_runtime::Log::JsonFile {
            path,
            max_size_bytes: Some(1 << 20),
            max_files: 2,
        };
    });
    let monitor = plan.start(fixture);
    // Once with a client that reads nothing, which stops the flood, then without.
    let client = monitor.attach(ALL).unwrap();
    for client in [Some(client), None] {
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(10));
            let status = std::fs::read_to_string(format!("/proc/{}/status", parent_of(monitor.pid()))).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
            let anonymous_kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
            assert!(anonymous_kib < ENOUGH_KIB, "{anonymous_kib} KiB");
        }
        drop(client);
    }
    let watch = monitor.watch().unwrap();
    monitor.signal(ferry_runtime::Signal::KILL).unwrap();
    assert_eq!(wait(watch).code, 137);
    assert!(plan.folder.join("log.1").exists());
}
