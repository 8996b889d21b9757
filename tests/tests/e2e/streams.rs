//! stdin, stdout, stderr and terminals of `ferry run`, `attach` and `logs`: every byte, both ways.

use ferry_tests::{Engine, eventually, has_program};
use rustix::process::Signal;

/// Bytes of all values, in an order that no terminal or text mode would keep.
fn every_byte() -> Vec<u8> {
    let mut state = 1_u32;
    (0..300_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

#[test]
fn stdin_and_stdout_keep_every_byte() {
    let Some(engine) = Engine::with_busybox() else { return };
    let sent = every_byte();
    let echoed = engine
        .shell()
        .sh_with_input("ferry run --rm -i busybox cat", &sent)
        .succeeds();
    assert!(
        echoed.stdout == sent,
        "{} bytes were sent, {} came back, and they differ",
        sent.len(),
        echoed.stdout.len()
    );
    engine
        .shell()
        .sh_with_input("ferry run --rm busybox cat", b"not for a container without -i")
        .succeeds()
        .prints("");
}

#[test]
fn stdout_and_stderr_stay_apart() {
    let Some(engine) = Engine::with_busybox() else { return };
    let finished = engine
        .sh("ferry run --rm busybox sh -c 'echo out; echo err >&2'")
        .succeeds()
        .prints("out");
    assert_eq!(finished.errors(), "err\n");
    let much = engine.sh("ferry run --rm busybox sh -c 'seq 1 200000'").succeeds();
    assert_eq!(much.text().lines().count(), 200_000);
    assert!(much.text().ends_with("\n200000"));
}

#[test]
fn stdin_is_passed_on_line_by_line_and_its_end_too() {
    let Some(engine) = Engine::with_busybox() else { return };
    let mut running =
        engine.background("ferry run --rm -i busybox sh -c 'while read line; do echo got $line; done; echo end'");
    running.type_in(b"one\n");
    running.until_says("got one");
    running.type_in(b"two\n");
    running.until_says("got two");
    running.finish().succeeds().says("end");
    // As with Docker, a client whose reader left goes alone: the container is the engine's.
    engine
        .sh("ferry run --rm --name endless busybox yes | head -n 1")
        .succeeds()
        .prints("y");
    engine.sh("ferry kill endless").succeeds();
    eventually("the container is gone", || {
        engine.sh("ferry ps -aq").text().is_empty().then_some(())
    });
}

#[test]
fn a_terminal_is_a_terminal_of_the_same_size() {
    let Some(engine) = Engine::with_busybox() else { return };
    if !has_program("script") {
        return;
    }
    let inside = "ferry run --rm -it busybox sh -c 'test -t 0 && test -t 1 && test -t 2 && stty size && tty && ls -l /dev/console'";
    let finished = engine.sh(&format!("script -qec \"stty rows 33 cols 101; {inside}\" /dev/null"));
    finished
        .succeeds()
        .says("33 101")
        .says("/dev/pts/0")
        .says("/dev/console");
    engine.sh("ferry run --rm -t busybox tty").succeeds().says("/dev/pts/0");
    engine
        .shell()
        .sh_with_input("ferry run --rm -it busybox tty", b"")
        .exits(1)
        .complains("terminal");
}

#[test]
fn logs_have_what_was_written_and_follow() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh("ferry run -d --name talker -i busybox sh -c 'echo one; echo two >&2; while read line && [ $line != end ]; do echo $line; done; echo last'").succeeds();
    let mut follower = engine.background("ferry logs -f talker");
    follower.until_says("two");
    let mut typist = engine.background("ferry attach talker");
    typist.type_in(b"three\n");
    follower.until_says("three");
    typist.type_in(b"end\n");
    typist.finish().succeeds();
    follower.finish().succeeds().says("last");
    let finished = engine.sh("ferry logs talker").succeeds().prints("one\nthree\nlast");
    assert_eq!(finished.errors(), "two\n");
    engine.sh("ferry logs --tail 1 talker").succeeds().prints("last");
    engine
        .sh("ferry logs -t --tail 1 talker")
        .succeeds()
        .says("T")
        .says("Z last");
    engine
        .sh("ferry logs --since 2099-01-01T00:00:00Z talker")
        .succeeds()
        .prints("");
    engine.sh("ferry logs nobody").exits(1).complains("nobody");
}

#[test]
fn attach_sees_what_comes_and_its_keys_leave_the_container_running() {
    let Some(engine) = Engine::with_busybox() else { return };
    if !has_program("script") {
        return;
    }
    engine.sh("ferry run -dit --name shell busybox sh").succeeds();
    let mut terminal = engine.background("script -qec 'ferry attach shell' /dev/null");
    terminal.type_in(b"echo $((40+2))\n");
    terminal.until_says("42");
    terminal.type_in(&[0x10, 0x11]);
    terminal.finish();
    engine.sh("ferry ps --format '{{.Names}}'").succeeds().prints("shell");
    let mut terminal = engine.background("script -qec 'ferry attach shell' /dev/null");
    terminal.type_in(b"exit 5\n");
    eventually("the shell ends", || (!terminal.is_running()).then_some(()));
    engine.sh("ferry wait shell").succeeds().prints("5");
}

#[test]
fn signals_to_a_foreground_run_reach_the_process() {
    let Some(engine) = Engine::with_busybox() else { return };
    let mut running = engine.background(
        "ferry run --rm busybox sh -c 'trap \"echo caught; exit 9\" TERM; echo ready; while :; do sleep 0.05; done'",
    );
    running.until_says("ready");
    running.signal(Signal::TERM);
    running.finish().exits(9).says("caught");
    let mut stubborn = engine.background(
        "ferry run --rm --name stubborn busybox sh -c 'trap \"\" INT; echo ready; while :; do sleep 0.05; done'",
    );
    stubborn.until_says("ready");
    stubborn.signal(Signal::INT);
    let alive = engine.sh("ferry ps -q --filter name=stubborn").succeeds().text();
    assert!(!alive.is_empty(), "the signal was the process' to ignore");
    engine.sh("ferry kill stubborn").succeeds();
    stubborn.finish().exits(137);
}

#[test]
fn logs_are_set_aside_compressed_and_read_whole() {
    let Some(engine) = Engine::with_busybox() else { return };
    for (driver, options) in [
        ("local", "--log-opt max-size=100k --log-opt max-file=40"),
        (
            "json-file",
            "--log-opt max-size=100k --log-opt max-file=40 --log-opt compress=true",
        ),
    ] {
        let run = format!("ferry run --name {driver} --log-driver {driver} {options} busybox seq 1 20000");
        engine.sh(&run).succeeds();
        let logged = engine.sh(&format!("ferry logs {driver}")).succeeds().text();
        assert_eq!(logged.lines().count(), 20_000, "{driver}");
        assert!(logged.starts_with("1\n2\n") && logged.ends_with("\n20000"), "{driver}");
        engine
            .sh(&format!("ferry logs -n 3 {driver}"))
            .prints("19998\n19999\n20000");
        // More than fits into the current file.
        let tail = engine.sh(&format!("ferry logs -n 9000 {driver}")).text();
        assert!(tail.starts_with("11001\n") && tail.ends_with("\n20000"), "{driver}");
        let id = engine.sh(&format!("ferry inspect -f '{{{{.Id}}}}' {driver}")).text();
        let folder = engine.data_root().join("containers").join(id);
        let names: Vec<String> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
            .collect();
        let compressed = names.iter().filter(|name| name.ends_with(".gz")).count();
        assert!(compressed > 5, "{names:?}");
        engine.sh(&format!("ferry rm {driver}")).succeeds();
    }
    // Followed while it is written and set aside.
    let mut following = engine.background(
        "sh -c 'ferry run -d --name box --log-driver local --log-opt max-size=50k --log-opt max-file=90 busybox \
         sh -c \"sleep 0.3; seq 1 20000\" >/dev/null; exec ferry logs -f box'",
    );
    following.end_input();
    let followed = following.finish().succeeds().text();
    assert_eq!(followed.lines().count(), 20_000);
    assert!(followed.ends_with("\n20000"));
    engine
        .sh("ferry inspect -f '{{.HostConfig.LogConfig.Type}} {{.LogPath}}.' box")
        .prints("local .");
    engine.sh("ferry rm box").succeeds();
}

#[test]
fn details_of_a_log_are_shown_on_demand() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh(
            "ferry run --name box -l a=1 -l b='x y' -e NAME=v -e OTHER=w --log-opt labels=b,none --log-opt env=NAME \
             --log-opt tag='{{.Name}}/{{.ID}}' --log-opt mode=non-blocking --log-opt max-buffer-size=1m \
             busybox echo line",
        )
        .succeeds();
    let id = engine.sh("ferry inspect -f '{{.Id}}' box").text();
    let details = format!("NAME=v,b=x+y,tag=box%2F{} line", &id[..12]);
    engine.sh("ferry logs --details box").succeeds().prints(&details);
    let timed = engine.sh("ferry logs --details -t box").succeeds().text();
    assert!(timed.ends_with(&format!("Z {details}")), "{timed}");
    engine.sh("ferry logs box").succeeds().prints("line");
    for (options, words) in [
        ("--log-opt tag={{.Nothing}}", "it is no field of Docker's"),
        (
            "--log-opt nonsense=1",
            "unknown log opt 'nonsense' for json-file log driver",
        ),
        ("--log-driver nonsense", "logging driver"),
        (
            "--log-opt max-buffer-size=1m",
            "only supported with 'mode=non-blocking'",
        ),
    ] {
        engine
            .sh(&format!("ferry create {options} busybox true"))
            .exits(125)
            .complains(words);
    }
    engine.sh("ferry rm box").succeeds();
}
