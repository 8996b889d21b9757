//! `ferry exec`: another process in a running container, with its own streams, user, folder and status.

use ferry_tests::{Engine, eventually, has_program};

#[test]
fn exec_joins_the_container() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name box -h box busybox sh -c 'echo inside >/tmp/note; exec sleep 300'")
        .succeeds();
    eventually("the note is there", || {
        (engine.sh("ferry exec box cat /tmp/note").text() == "inside").then_some(())
    });
    for (line, printed) in [
        ("ferry exec box hostname", "box"),
        ("ferry exec box sh -c 'tr \"\\0\" \" \" </proc/1/cmdline'", "sleep 300"),
        ("ferry exec -w /tmp box pwd", "/tmp"),
        ("ferry exec -u 12:34 box sh -c 'echo $(id -u):$(id -g)'", "12:34"),
        ("ferry exec -e A=1 -e B=2 box sh -c 'echo $A$B'", "12"),
        ("echo typed | ferry exec -i box cat", "typed"),
        (
            "ferry exec box sh -c 'grep CapEff /proc/self/status | cut -f2'",
            "00000000a80425fb",
        ),
        (
            "ferry exec box sh -c 'grep CapInh /proc/self/status | cut -f2'",
            "0000000000000000",
        ),
        ("ferry exec box sh -c 'grep ^Seccomp: /proc/self/status | cut -f2'", "2"),
        (
            "ferry exec -u 12 box sh -c 'grep CapEff /proc/self/status | cut -f2'",
            "0000000000000000",
        ),
    ] {
        engine.sh(line).succeeds().prints(printed);
    }
}

#[test]
fn the_status_is_the_process_own() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh("ferry run -d --name box busybox sleep 300").succeeds();
    for (line, code) in [
        ("ferry exec box true", 0),
        ("ferry exec box sh -c 'exit 42'", 42),
        ("ferry exec box sh -c 'kill -9 $$'", 137),
        ("ferry exec box no-such-command", 127),
        ("ferry exec box /etc/passwd", 126),
        ("ferry exec -u nobody-here box true", 126),
    ] {
        let finished = engine.sh(line);
        // Docker answers 126 where a user is unknown, and 1 in some releases.
        let is_user = line.contains("nobody-here");
        assert!(
            finished.code() == code || (is_user && finished.code() != 0),
            "{line}: {}",
            finished.code()
        );
    }
    engine.sh("ferry stop -t 0 box").succeeds();
    engine.sh("ferry exec box true").exits(1).complains("not running");
}

#[test]
fn a_detached_exec_goes_on_alone() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh("ferry run -d --name box busybox sleep 300").succeeds();
    engine
        .sh("ferry exec -d box sh -c 'echo done >/tmp/result'")
        .succeeds()
        .prints("");
    eventually("it has run", || {
        (engine.sh("ferry exec box cat /tmp/result").text() == "done").then_some(())
    });
}

#[test]
fn an_exec_can_have_a_terminal() {
    let Some(engine) = Engine::with_busybox() else { return };
    if !has_program("script") {
        return;
    }
    engine.sh("ferry run -d --name box busybox sleep 300").succeeds();
    engine
        .sh("script -qec \"stty rows 21 cols 77; ferry exec -it box sh -c 'tty; stty size'\" /dev/null")
        .succeeds()
        .says("/dev/pts/")
        .says("21 77");
}

#[test]
fn execs_end_with_their_container() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh("ferry run -d --name box busybox sleep 300").succeeds();
    let mut inside = engine.background("ferry exec box sh -c 'echo running; sleep 300'");
    inside.until_says("running");
    engine.sh("ferry kill box").succeeds();
    inside.finish().exits(137);
}
