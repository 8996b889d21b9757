//! Accounts kept by a helper program, from login to logout.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::fake::{Answer, Engine, Request};
use crate::{Said, ferry};

/// A helper that keeps one secret in a file beside it.
const HELPER: &str = r#"#!/bin/sh
file="$(dirname "$0")/kept"
case $1 in
store) cat > "$file" ;;
get) [ -s "$file" ] && cat "$file" || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) : > "$file" ;;
esac
"#;

fn with_helper(engine: &Engine, arguments: &[&str], stdin: &str) -> Said {
    use std::io::Write;
    let path = format!("{}:/usr/bin:/bin", engine.folder().display());
    let mut child = ferry(engine.folder(), arguments)
        .env("DOCKER_HOST", engine.host())
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut pipe = child.stdin.take().expect("stdin");
    pipe.write_all(stdin.as_bytes()).expect("the command reads");
    drop(pipe);
    child.wait_with_output().expect("the command ends").into()
}

#[test]
fn a_helper_keeps_the_password_and_the_file_does_not() {
    let engine = Engine::new(|request: &Request| {
        if request.is("POST /auth") {
            Answer::Json(200, r#"{"Status":"Login Succeeded","IdentityToken":""}"#)
        } else {
            Answer::Json(200, "{\"status\":\"Status: Image is up to date\"}\n")
        }
    });
    let helper = engine.folder().join("docker-credential-test");
    std::fs::write(&helper, HELPER).expect("a file");
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    std::fs::create_dir(engine.folder().join("docker")).expect("a folder");
    let config = engine.folder().join("docker/config.json");
    std::fs::write(&config, r#"{"credsStore":"test"}"#).expect("a file");

    let said = with_helper(
        &engine,
        &["login", "-u", "ann", "--password-stdin", "reg.test"],
        "s3cret\n",
    );
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "Login Succeeded\n"),
        "{}",
        said.err
    );
    let written = std::fs::read_to_string(&config).expect("a file");
    assert!(
        !written.contains("s3cret") && written.contains("\"reg.test\": {}"),
        "{written}"
    );

    let said = with_helper(&engine, &["pull", "-q", "reg.test/a"], "");
    assert_eq!(said.code, Some(0), "{}", said.err);
    let header = engine.seen()[1]
        .header("x-registry-auth")
        .expect("an account")
        .to_owned();
    // {"username":"ann","password":"s3cret","serveraddress":"reg.test"}
    assert_eq!(
        header,
        "eyJ1c2VybmFtZSI6ImFubiIsInBhc3N3b3JkIjoiczNjcmV0Iiwic2VydmVyYWRkcmVzcyI6InJlZy50ZXN0In0="
    );

    let said = with_helper(&engine, &["logout", "reg.test"], "");
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "Removed the account for reg.test\n")
    );
    let said = with_helper(&engine, &["logout", "reg.test"], "");
    assert_eq!(said.out, "Not logged in to reg.test\n");
}

#[test]
fn a_helper_that_is_missing_is_named() {
    let engine = Engine::new(|_: &Request| Answer::Json(200, "{}"));
    std::fs::create_dir(engine.folder().join("docker")).expect("a folder");
    let config = engine.folder().join("docker/config.json");
    std::fs::write(config, r#"{"credHelpers":{"reg.test":"gone"}}"#).expect("a file");
    let said = with_helper(&engine, &["pull", "reg.test/a"], "");
    assert_eq!(said.code, Some(1));
    assert!(
        said.err
            .contains("docker-credential-gone failed to get the credentials of reg.test: No such file"),
        "{}",
        said.err
    );
}
