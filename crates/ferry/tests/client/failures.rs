//! Engines that are away, break off, or talk nonsense.

use std::process::Stdio;

use crate::fake::{Answer, Engine, Request};
use crate::{Said, ferry, run};

#[test]
fn an_engine_that_is_away_is_named_with_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = format!("unix://{}/none.sock", folder.path().display());
    let said: Said = ferry(folder.path(), &["-H", &host, "ps"])
        .output()
        .expect("runs")
        .into();
    assert_eq!(said.code, Some(1));
    assert!(
        said.err
            .starts_with(&format!("ferry: cannot connect to the engine at {host}: No such file"))
    );
    assert!(said.err.contains("\nhint: is the engine running?"), "{}", said.err);
}

#[test]
fn an_answer_that_breaks_off_is_a_failure_and_no_hang() {
    for raw in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{]",
        b"nonsense\r\n\r\n",
    ] {
        let engine = Engine::new(move |_: &Request| Answer::Raw(raw));
        let said = run(&engine, &["ps"]);
        assert_eq!(said.code, Some(1), "{raw:?}");
        assert!(said.err.starts_with("ferry: "), "{}", said.err);
        assert!(!said.err.contains("panicked"), "{}", said.err);
    }
}

#[test]
fn an_engine_that_dies_under_a_container_is_125_or_1_and_no_hang() {
    let engine = Engine::new(|request: &Request| {
        if request.is("POST /containers/create") {
            Answer::Json(201, r#"{"Id":"c1","Warnings":[]}"#)
        } else if request.is("POST /containers/c1/attach") {
            Answer::Stream(b"\x01\0\0\0\0\0\0\x10half")
        } else if request.is("POST /containers/c1/wait") {
            Answer::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        } else {
            Answer::Json(204, "")
        }
    });
    let said = run(&engine, &["run", "busybox"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), "half"));
    assert!(
        said.err.contains("the engine did not tell how the container ended"),
        "{}",
        said.err
    );
}

#[test]
fn an_engine_that_does_not_hand_the_connection_over_is_said() {
    let engine = Engine::new(|request: &Request| {
        if request.is("POST /containers/create") {
            Answer::Json(201, r#"{"Id":"c1","Warnings":[]}"#)
        } else {
            Answer::Json(200, "{}")
        }
    });
    let said = run(&engine, &["run", "busybox"]);
    assert_eq!(said.code, Some(125));
    assert!(
        said.err
            .contains("did not open a stream for POST /containers/c1/attach"),
        "{}",
        said.err
    );
}

#[test]
fn errors_that_are_not_json_are_shown_as_they_are() {
    let engine = Engine::new(|_: &Request| {
        Answer::Raw(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 9\r\nConnection: close\r\n\r\nno engine")
    });
    assert_eq!(run(&engine, &["images"]).err, "ferry: no engine\n");
}

#[test]
fn each_of_several_names_is_tried_and_failures_are_told_apart() {
    let engine = Engine::new(|request: &Request| {
        if request.is("DELETE /containers/b") {
            Answer::Json(404, r#"{"message":"No such container: b"}"#)
        } else {
            Answer::Json(204, "")
        }
    });
    let said = run(&engine, &["rm", "a", "b", "c"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), "a\nc\n"));
    assert_eq!(said.err, "ferry: cannot remove b: No such container: b\n");
}

#[test]
fn an_engine_that_does_not_start_is_reported_with_its_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let said: Said = ferry(folder.path(), &["ps"])
        .env("FERRY_EXEC_ROOT", folder.path().join("run"))
        // No folder can be made below a file.
        .env("FERRY_DATA_ROOT", file.join("data"))
        .stdout(Stdio::piped())
        .output()
        .expect("runs")
        .into();
    assert_eq!(said.code, Some(1));
    assert!(
        said.err
            .starts_with("ferry: the engine did not start: it ended with exit status: 1\n"),
        "{}",
        said.err
    );
}
