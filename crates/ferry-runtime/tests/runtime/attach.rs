//! Clients at a container's streams.

use std::{
    io::{Read, Write},
    net::Shutdown,
};

use ferry_runtime::{AttachOptions, Error, Log, Stdin, WindowSize};

use super::{
    Test,
    fixture::{ALL, Fixture, read_until, wait},
};

pub(crate) const TESTS: &[Test] = &[
    ("input_reaches_the_process_and_comes_back", input_comes_back),
    ("streams_are_framed", streams_are_framed),
    ("open_input_outlives_its_clients", open_input_outlives_its_clients),
    ("a_terminal_is_raw_and_has_a_size", a_terminal_is_raw_and_has_a_size),
    (
        "a_slow_client_stops_output_and_loses_nothing",
        a_slow_client_loses_nothing,
    ),
    ("a_client_that_vanishes_is_dropped", a_client_that_vanishes_is_dropped),
];

/// Takes Docker's frames apart: what came on stdout and on stderr.
fn unframe(mut bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
        let [stream, 0, 0, 0, a, b, c, d] = *header else {
            panic!("header {header:?}")
        };
        let (data, rest) = rest.split_at(u32::from_be_bytes([a, b, c, d]) as usize);
        if stream == 1 { &mut out } else { &mut err }.extend_from_slice(data);
        bytes = rest;
    }
    assert!(bytes.is_empty());
    (out, err)
}

fn input_comes_back(fixture: &Fixture) {
    let plan = fixture.plan(&["cat"]).with(|launch| launch.stdio.stdin = Stdin::Once);
    let monitor = plan.launch(fixture).unwrap();
    let mut stream = monitor.attach(ALL).unwrap();
    let watch = monitor.watch().unwrap();
    monitor.start().unwrap();
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 253) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = body.clone();
    let thread = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    thread.join().unwrap();
    assert!(unframe(&bytes).0 == body);
    assert_eq!(wait(watch).code, 0);
}

fn streams_are_framed(fixture: &Fixture) {
    let plan = fixture
        .shell("echo out; echo err >&2")
        .with(|launch| launch.stdio.log = Log::None);
    let monitor = plan.launch(fixture).unwrap();
    let mut all = monitor.attach(ALL).unwrap();
    let only = AttachOptions {
        stdin: false,
        stdout: false,
        stderr: true,
    };
    let mut only = monitor.attach(only).unwrap();
    monitor.start().unwrap();
    let mut bytes = Vec::new();
    all.read_to_end(&mut bytes).unwrap();
    assert_eq!(unframe(&bytes), (b"out\n".to_vec(), b"err\n".to_vec()));
    bytes.clear();
    only.read_to_end(&mut bytes).unwrap();
    assert_eq!(unframe(&bytes), (Vec::new(), b"err\n".to_vec()));
    assert!(!plan.folder.join("log").exists());
}

fn open_input_outlives_its_clients(fixture: &Fixture) {
    let plan = fixture
        .shell("read a; read b; echo $a-$b")
        .with(|launch| launch.stdio.stdin = Stdin::Open);
    let monitor = plan.start(fixture);
    let watch = monitor.watch().unwrap();
    for word in ["one\n", "two\n"] {
        let mut client = monitor.attach(ALL).unwrap();
        client.write_all(word.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    }
    assert_eq!(wait(watch).code, 0);
    assert_eq!(plan.logged(), "one-two\n");
}

fn a_terminal_is_raw_and_has_a_size(fixture: &Fixture) {
    let plan = fixture
        .shell("test -t 0 && test -t 1 && tty; stty size; read x; stty size; echo got $x")
        .with_tty();
    let monitor = plan.launch(fixture).unwrap();
    let mut stream = monitor.attach(ALL).unwrap();
    let watch = monitor.watch().unwrap();
    monitor.start().unwrap();
    let text = read_until(&mut stream, "24 80\r\n");
    assert!(text.starts_with("/dev/pts/0\r\n"), "{text:?}");
    monitor.resize(WindowSize { rows: 50, columns: 132 }).unwrap();
    stream.write_all(b"word\n").unwrap();
    let text = read_until(&mut stream, "got word\r\n");
    assert!(text.contains("50 132\r\n"), "{text:?}");
    assert_eq!(wait(watch).code, 0);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();

    let plan = fixture.plan(&["true"]);
    let monitor = plan.launch(fixture).unwrap();
    let size = WindowSize { rows: 1, columns: 1 };
    assert!(matches!(monitor.resize(size), Err(Error::NoTerminal)));
}

fn a_slow_client_loses_nothing(fixture: &Fixture) {
    let plan = fixture
        .shell("seq 1 300000")
        .with(|launch| launch.stdio.log = Log::None);
    let monitor = plan.launch(fixture).unwrap();
    let mut stream = monitor.attach(ALL).unwrap();
    monitor.start().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    let state = monitor.state().unwrap();
    assert!(matches!(state.phase, ferry_runtime::Phase::Running { .. }), "{state:?}");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(unframe(&bytes).0).unwrap();
    assert!(text.lines().map(|line| line.parse::<u32>().unwrap()).eq(1..=300_000));
}

fn a_client_that_vanishes_is_dropped(fixture: &Fixture) {
    let plan = fixture.shell("seq 1 100000; exit 5");
    let monitor = plan.launch(fixture).unwrap();
    let client = monitor.attach(ALL).unwrap();
    let watch = monitor.watch().unwrap();
    monitor.start().unwrap();
    drop(client);
    assert_eq!(wait(watch).code, 5);
    assert!(plan.logged().ends_with("\n100000\n"));
}
