//! What containers write ends up in the log.

use super::{Test, fixture::Fixture};

pub(crate) const TESTS: &[Test] = &[
    ("output_is_logged_by_stream", output_is_logged_by_stream),
    ("much_output_is_logged_whole", much_output_is_logged_whole),
    ("logs_rotate", logs_rotate),
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
