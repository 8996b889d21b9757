//! `ferry run`: what the process gets, and which exit status scripts see.

use ferry_tests::{Engine, PLATFORMS, host_platform};

#[test]
fn the_exit_status_is_the_process_own_or_docker_s() {
    let Some(engine) = Engine::with_busybox() else { return };
    for (line, code) in [
        ("ferry run --rm busybox true", 0),
        ("ferry run --rm busybox false", 1),
        ("ferry run --rm busybox sh -c 'exit 3'", 3),
        ("ferry run --rm busybox sh -c 'exit 255'", 255),
        ("ferry run --rm busybox sh -c 'sh -c \"kill -9 \\$\\$\"; exit $?'", 137),
        (
            "ferry run --rm --entrypoint sh busybox -c 'exec sh -c \"kill -TERM \\$\\$; sleep 1; exit 4\"'",
            4,
        ),
        ("ferry run --rm busybox no-such-command", 127),
        ("ferry run --rm busybox /no/such/file", 127),
        ("ferry run --rm busybox /etc", 126),
        ("ferry run --rm busybox /etc/passwd", 126),
        ("ferry run --rm --no-such-flag busybox true", 125),
        ("ferry run --rm 127.0.0.1:1/absent true", 125),
        ("ferry run --rm -v relative/../path:/x busybox true", 125),
        (
            "ferry run --rm --mount type=bind,source=/no/such/source,target=/x busybox true",
            125,
        ),
        ("ferry run --rm -w relative busybox true", 125),
        ("ferry run --rm -u no-such-user busybox true", 125),
        ("ferry run --rm --network no-such-network busybox true", 125),
        ("ferry run --rm --name -bad- busybox true", 125),
        ("ferry run --rm UPPER/case true", 125),
        ("ferry run", 125),
    ] {
        engine.sh(line).exits(code);
    }
    engine.sh("ferry ps -aq").succeeds().prints("");
}

#[test]
fn what_failed_is_said_with_cause_and_remedy() {
    let Some(engine) = Engine::with_busybox() else { return };
    for (line, parts) in [
        (
            "ferry run --rm busybox no-such-command",
            ["no-such-command", "not found"],
        ),
        (
            "ferry run --rm busybox /etc/passwd",
            ["/etc/passwd", "permission denied"],
        ),
        (
            "ferry run --rm 127.0.0.1:1/absent true",
            ["127.0.0.1:1/absent", "refused"],
        ),
        ("ferry run --rm -u no-such-user busybox true", ["no-such-user", "user"]),
        (
            "ferry run --rm --network no-such-network busybox true",
            ["no-such-network", "network"],
        ),
        (
            "ferry run --rm --mount type=bind,source=/no/such/source,target=/x busybox true",
            ["/no/such/source", "does not exist"],
        ),
        (
            "ferry run --no-such-flag busybox",
            ["--no-such-flag", "ferry run --help"],
        ),
        ("ferry run -e", ["--env", "value"]),
        ("ferry imagse", ["imagse", "images"]),
    ] {
        let said = engine.sh(line).errors();
        let all_there = parts
            .iter()
            .all(|part| said.to_lowercase().contains(&part.to_lowercase()));
        assert!(all_there, "{line} says {said:?}, which lacks one of {parts:?}");
    }
}

#[test]
fn options_reach_the_process() {
    let Some(engine) = Engine::with_busybox() else { return };
    for (line, printed) in [
        ("ferry run --rm busybox echo hello world", "hello world"),
        (
            "ferry run --rm -e A=1 -e B='two words' -e EMPTY= busybox sh -c 'echo \"$A,$B,$EMPTY.\"'",
            "1,two words,.",
        ),
        (
            "FROM_OUTSIDE=here ferry run --rm -e FROM_OUTSIDE busybox sh -c 'echo $FROM_OUTSIDE'",
            "here",
        ),
        (
            "printf 'X=1\\n# no\\nY=2\\n' >vars; ferry run --rm --env-file vars busybox sh -c 'echo $X$Y'",
            "12",
        ),
        ("ferry run --rm -w /made/for/me busybox pwd", "/made/for/me"),
        (
            "ferry run --rm -u 1234:5678 busybox sh -c 'echo $(id -u):$(id -g)'",
            "1234:5678",
        ),
        ("ferry run --rm -u nobody busybox id -un", "nobody"),
        ("ferry run --rm busybox sh -c 'echo $HOME'", "/root"),
        ("ferry run --rm -h box busybox hostname", "box"),
        ("ferry run --rm -h box busybox grep -c box /etc/hosts", "1"),
        ("ferry run --rm --entrypoint echo busybox entry", "entry"),
        ("ferry run --rm --entrypoint '' busybox echo plain", "plain"),
        ("ferry run --rm --label a=b busybox echo labelled", "labelled"),
    ] {
        engine.sh(line).succeeds().prints(printed);
    }
}

#[test]
fn volumes_are_the_host_s_files() {
    let Some(engine) = Engine::with_busybox() else { return };
    let shared = engine.file("shared/note", "from the host\n");
    let folder = shared.parent().expect("a file lies in a folder").display().to_string();
    engine
        .sh(&format!("ferry run --rm -v {folder}:/data busybox cat /data/note"))
        .succeeds()
        .prints("from the host");
    engine
        .sh(&format!(
            "ferry run --rm -v {folder}:/data busybox sh -c 'echo back >/data/reply'"
        ))
        .succeeds();
    engine.host().sh("cat shared/reply").succeeds().prints("back");
    engine
        .sh(&format!("ferry run --rm -v {folder}:/data:ro busybox touch /data/no"))
        .exits(1)
        .complains("Read-only");
    engine
        .sh(&format!(
            "ferry run --rm -v {folder}/note:/etc/note:ro busybox cat /etc/note"
        ))
        .succeeds()
        .prints("from the host");
    // As with Docker, -v makes a source folder that is missing.
    engine
        .sh(&format!(
            "ferry run --rm -v {folder}/new:/data busybox touch /data/file && test -f {folder}/new/file"
        ))
        .succeeds();
}

#[test]
fn a_volume_s_target_that_is_a_link_stays_inside() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nRUN ln -s /../../../../tmp /way && mkdir -p /target && ln -s /target /alias\n",
    );
    engine.file("shared/note", "inside\n");
    engine.sh("ferry build -q -t app app").succeeds();
    engine
        .sh("ferry run --rm -v $PWD/shared:/alias app cat /target/note")
        .succeeds()
        .prints("inside");
    engine
        .sh("ferry run --rm -v $PWD/shared:/way app cat /tmp/note")
        .succeeds()
        .prints("inside");
}

#[test]
fn what_a_container_writes_is_its_own() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run --name writer busybox sh -c 'echo changed >/etc/passwd; rm -r /bin/vi; mkdir /new'")
        .succeeds();
    engine
        .sh("ferry run --rm busybox sh -c 'grep -c changed /etc/passwd; ls -d /new'")
        .exits(1)
        .prints("0");
    engine.sh("ferry run --rm busybox ls /bin/vi").succeeds();
}

#[test]
fn the_best_variant_is_chosen_and_said_when_it_is_not_native() {
    let Some(engine) = Engine::start() else { return };
    if engine.make_busybox_for(&PLATFORMS).is_none() {
        return;
    }
    let native = engine
        .sh("ferry run --rm busybox uname -m")
        .succeeds()
        .prints(host_platform().machine);
    assert_eq!(native.errors(), "", "nothing is to be said about a native run");
    let foreign = PLATFORMS
        .iter()
        .find(|platform| platform.name == "linux/riscv64")
        .expect("it is one of the seven");
    engine.file("foreign/Dockerfile", "FROM busybox\n");
    engine
        .sh(&format!(
            "ferry build -q --platform {} -t foreign foreign",
            foreign.name
        ))
        .succeeds();
    engine
        .sh("ferry run --rm foreign uname -m")
        .succeeds()
        .prints(foreign.machine)
        .complains(foreign.name);
    engine
        .sh(&format!(
            "ferry run --rm --platform {} foreign uname -m",
            host_platform().name
        ))
        .exits(125)
        .complains(host_platform().name);
}

#[test]
fn an_image_for_the_wrong_cpu_says_so() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nCOPY program /program\nCMD [\"/program\"]\n",
    );
    // An ELF header for a CPU that nobody emulates: machine 0x5441.
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x41\x54\x01\0\0\0".to_vec();
    header.resize(4096, 0);
    engine.file("app/program", header);
    engine
        .sh("chmod +x app/program && ferry build -q -t app app")
        .succeeds();
    engine
        .sh("ferry run --rm app")
        .exits(126)
        .complains("exec format error");
}
