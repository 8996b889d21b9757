//! What lists and objects look like.

use crate::fake::{Answer, Engine, Request};
use crate::run;

#[test]
fn objects_are_shown_as_the_engine_says_them() {
    let engine = Engine::new(|request: &Request| {
        if request.is("GET /images/a/json") {
            Answer::Json(200, r#"{"Zeta":1.50,"Alpha":{"Unknown":null}}"#)
        } else {
            Answer::Json(404, r#"{"message":"No such object"}"#)
        }
    });
    let said = run(&engine, &["inspect", "a"]);
    assert_eq!(
        said.out,
        "[\n    {\n        \"Zeta\": 1.50,\n        \"Alpha\": {\n            \"Unknown\": null\n        }\n    }\n]\n"
    );
    let said = run(&engine, &["inspect", "-f", "{{.Zeta}} {{json .Alpha}}", "a", "b"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), "1.5 {\"Unknown\":null}\n"));
    assert_eq!(said.err, "ferry: no such object: b\n");
}

#[test]
fn logs_are_told_apart_by_their_frames() {
    let engine = Engine::new(|_: &Request| {
        Answer::Raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n\
              \x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x04err\n",
        )
    });
    let said = run(&engine, &["logs", "-t", "--tail", "5", "--since", "1970-01-02", "web"]);
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (Some(0), "out\n", "err\n")
    );
    let line = engine.seen()[0].line.clone();
    assert!(line.ends_with("timestamps=1&tail=5&since=86400.000000000"), "{line}");
}

#[test]
fn lists_bear_what_go_leaves_out() {
    let engine = Engine::new(|_: &Request| Answer::Json(200, r#"[{"Id":"0123456789abcdef","Names":null}]"#));
    let said = run(&engine, &["ps", "-a", "--format", "{{.ID}}|{{.Names}}|{{.Ports}}"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "0123456789ab||\n"),
        "{}",
        said.err
    );
}

#[test]
fn platforms_are_listed_by_how_they_run() {
    let engine = Engine::new(|_: &Request| {
        Answer::Json(
            200,
            r#"[{"Platform":"linux/amd64","Support":"native"},
                {"Platform":"linux/arm64","Support":"emulated","Emulator":"/usr/bin/qemu-aarch64","Version":"10.0"},
                {"Platform":"linux/s390x","Support":"missing","Reason":"no emulator: install qemu-user-static"}]"#,
        )
    });
    let said = run(&engine, &["platform", "ls", "-q"]);
    assert_eq!(said.out, "linux/amd64\nlinux/arm64\n");
    let said = run(&engine, &["platform", "ls"]);
    assert!(
        said.out
            .contains("missing                                      no emulator"),
        "{}",
        said.out
    );
    assert_eq!(engine.seen()[0].line, "GET /ferry/v1/platforms");
}
