//! `run`: its requests, its streams, its exit status.

use crate::fake::{Answer, Engine, Request};
use crate::{run, run_with};

const CREATED: Answer = Answer::Json(201, r#"{"Id":"c1","Warnings":["linux/arm64 is emulated by qemu"]}"#);

/// A container that prints and ends with `wait`.
fn living(stream: &'static [u8], wait: &'static str) -> Engine {
    Engine::new(move |request: &Request| {
        if request.is("POST /containers/create") {
            CREATED
        } else if request.is("POST /containers/c1/attach") {
            Answer::Stream(stream)
        } else if request.is("POST /containers/c1/wait") {
            Answer::Json(200, wait)
        } else if request.is("POST /containers/c1/start") {
            Answer::Json(204, "")
        } else {
            Answer::Json(404, r#"{"message":"page not found"}"#)
        }
    })
}

#[test]
fn a_container_s_output_and_status_are_the_command_s() {
    let engine = living(b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x03err", r#"{"StatusCode":7}"#);
    let said = run(&engine, &["run", "--rm", "busybox", "true"]);
    assert_eq!((said.code, said.out.as_str()), (Some(7), "out"));
    assert_eq!(said.err, "WARNING: linux/arm64 is emulated by qemu\nerr");
    let mut requests: Vec<String> = engine
        .seen()
        .iter()
        .map(|request| request.line.split('?').next().unwrap_or_default().to_owned())
        .collect();
    // Attach and wait go side by side.
    requests[1..3].sort();
    assert_eq!(
        requests,
        [
            "POST /v1.51/containers/create",
            "POST /v1.51/containers/c1/attach",
            "POST /v1.51/containers/c1/wait",
            "POST /v1.51/containers/c1/start",
        ]
    );
    let body: serde_json::Value = serde_json::from_slice(&engine.seen()[0].body).expect("JSON");
    assert_eq!(body["HostConfig"]["AutoRemove"], true);
    assert_eq!(body["AttachStdin"], false);
}

#[test]
fn stdin_reaches_the_container_to_its_last_byte_and_ends_there() {
    let engine = Engine::new(|request: &Request| {
        if request.is("POST /containers/create") {
            Answer::Json(201, r#"{"Id":"c1","Warnings":null}"#)
        } else if request.is("POST /containers/c1/attach") {
            Answer::Echo
        } else if request.is("POST /containers/c1/wait") {
            Answer::Json(200, r#"{"StatusCode":0}"#)
        } else {
            Answer::Json(204, "")
        }
    });
    let said = run_with(&engine, &["run", "-i", "busybox", "cat"], Some(b"a\0b\r\n"));
    assert_eq!((said.code, said.out.as_str()), (Some(0), "a\0b\r\n"), "{}", said.err);
    let body: serde_json::Value = serde_json::from_slice(&engine.seen()[0].body).expect("JSON");
    assert_eq!(body["StdinOnce"], true);
}

#[test]
fn in_the_background_two_requests_do() {
    let engine = living(b"", "");
    let said = run(&engine, &["run", "-d", "--name", "web", "busybox"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "c1\n"));
    assert_eq!(engine.seen().len(), 2);
    assert!(engine.seen()[0].line.ends_with("?name=web"));
}

#[test]
fn a_command_that_is_not_there_is_127() {
    for (message, code) in [
        (
            r#"{"message":"exec: \"nosuch\": executable file not found in $PATH"}"#,
            127,
        ),
        (r#"{"message":"exec /etc: permission denied"}"#, 126),
        (r#"{"message":"port 80 is in use\nhint: choose another"}"#, 125),
    ] {
        let engine = Engine::new(move |request: &Request| {
            if request.is("POST /containers/create") {
                Answer::Json(201, r#"{"Id":"c1","Warnings":[]}"#)
            } else if request.is("POST /containers/c1/attach") {
                Answer::Stream(b"")
            } else if request.is("POST /containers/c1/wait") {
                Answer::Json(200, r#"{"StatusCode":0}"#)
            } else {
                Answer::Json(400, message)
            }
        });
        let said = run(&engine, &["run", "busybox", "nosuch"]);
        assert_eq!(said.code, Some(code), "{}", said.err);
        assert!(said.err.starts_with("ferry: "), "{}", said.err);
        assert_eq!(said.err.contains("\nhint: choose another\n"), code == 125);
    }
}

#[test]
fn a_missing_image_is_pulled_once_with_its_account() {
    let engine = Engine::new(|request: &Request| {
        if request.is("POST /images/create") {
            Answer::Json(
                200,
                "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"denied\\nhint: log in\"}}\r\n",
            )
        } else {
            Answer::Json(404, r#"{"message":"No such image: reg.test/a:latest"}"#)
        }
    });
    std::fs::create_dir(engine.folder().join("docker")).expect("a folder");
    std::fs::write(
        engine.folder().join("docker/config.json"),
        r#"{"auths":{"reg.test":{"auth":"YTpi"},"other.test":{"auth":"Yzpk"}}}"#,
    )
    .expect("a file");
    let said = run(&engine, &["run", "--platform", "linux/arm64", "reg.test/a"]);
    assert_eq!(said.code, Some(125));
    assert!(said.err.ends_with("ferry: denied\nhint: log in\n"), "{}", said.err);
    let pull = engine.seen().pop().expect("a pull");
    assert!(
        pull.line
            .contains("fromImage=reg.test%2Fa&tag=latest&platform=linux%2Farm64"),
        "{}",
        pull.line
    );
    let header = pull.header("x-registry-auth").expect("an account");
    // {"username":"a","password":"b","serveraddress":"reg.test"}
    assert_eq!(
        header,
        "eyJ1c2VybmFtZSI6ImEiLCJwYXNzd29yZCI6ImIiLCJzZXJ2ZXJhZGRyZXNzIjoicmVnLnRlc3QifQ=="
    );
}
