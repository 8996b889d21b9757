//! What goes wrong, and how it is said.

use ferry_build::{BuildEvent, ErrorClass};

use crate::house::{House, file, is_root};

fn message(dockerfile: &str) -> String {
    House::new().build(dockerfile).error().to_string()
}

#[test]
fn syntax_errors_name_file_line_text_and_what_was_expected() {
    assert_eq!(
        message("FROM scratch\n\nRNU echo hi\n"),
        "dockerfile parse error: Dockerfile:3: unknown instruction: RNU (did you mean RUN?): RNU echo hi"
    );
    assert_eq!(
        message("FROM scratch\nCOPY a\n"),
        "dockerfile parse error: Dockerfile:2: COPY requires at least two arguments: one or more sources, and a destination, expected COPY [--from=<stage|image>] [--chown=<user>[:<group>]] [--chmod=<mode>] [--link] [--parents] [--exclude=<pattern>] <source> … <destination>: COPY a"
    );
    assert_eq!(
        message("FROM scratch\nRUN \\\n  --mout=x a\n"),
        "dockerfile parse error: Dockerfile:3: unknown flag: --mout (did you mean --mount?): --mout=x a"
    );
    assert_eq!(
        message(""),
        "dockerfile parse error: Dockerfile:1: file with no instructions, expected FROM <image>"
    );
    assert_eq!(
        message("RUN x"),
        "dockerfile parse error: Dockerfile:1: no build stage in current context: RUN stands before the first FROM, expected FROM <image>: RUN x"
    );
}

#[test]
fn nothing_is_made_for_a_file_that_is_wrong() {
    let house = House::new();
    let outcome = house.build("FROM scratch\nRUN write /a 1\nBOO\n");
    assert_eq!((outcome.runs, outcome.error().class()), (0, ErrorClass::Invalid));
    assert!(!house.store.root().join("build").exists());
    let outcome = house.build("FROM scratch\nRUN write /a 1\nSTOPSIGNAL BOO\n");
    assert_eq!(outcome.runs, 0);
    assert_eq!(outcome.error().to_string(), "Dockerfile:3: invalid signal: BOO");
}

#[test]
fn a_failed_step_names_platform_line_and_exit_code() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let outcome = house.build("FROM scratch\n\n\nRUN print why;exit 3\n");
    let error = outcome.error();
    assert_eq!(
        error.to_string(),
        "process \"/bin/sh -c print why;exit 3\" did not complete successfully: exit code: 3"
    );
    let snippet = error.source_lines().unwrap().snippet();
    assert!(snippet.starts_with("Dockerfile:4\n"), "{snippet}");
    assert!(snippet.contains("   4 | >>> RUN print why;exit 3\n"), "{snippet}");
    assert_eq!(outcome.logs(), "why\n");
    let vertex = &outcome.vertices()["[1/1] RUN print why;exit 3"];
    assert!(vertex.error.as_ref().unwrap().ends_with("exit code: 3"));
    let outcome = house.build_as(
        "FROM scratch\nRUN exit 3\n",
        house.request(&["linux/arm64", "linux/s390x"]),
    );
    assert_eq!(
        outcome.error().to_string(),
        "linux/arm64: process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3"
    );
}

#[test]
fn a_failure_ends_only_what_depends_on_it() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let outcome = house.build_as(
        "FROM scratch\nARG TARGETARCH\nRUN env TARGETARCH /a\nRUN [\"/$TARGETARCH\", \"write /b 1\"]\n",
        house.request(&["linux/amd64", "linux/arm64"]),
    );
    assert!(outcome.result.is_ok());
    let stages = "FROM scratch AS bad\nRUN exit 1\nFROM scratch AS good\nRUN write /g 1\nRUN write /h 1\nFROM scratch\nCOPY --from=bad /a /\nCOPY --from=good /g /\n";
    let outcome = house.build(stages);
    assert!(outcome.result.is_err());
    let vertices = outcome.vertices();
    assert!(vertices["[good 2/2] RUN write /h 1"].completed.is_some());
    assert!(vertices["[stage-2 1/2] COPY --from=bad /a /"].started.is_none());
}

#[test]
fn missing_sources_and_owners() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house
        .file("a", "1")
        .file(".dockerignore", "ignored")
        .file("ignored", "1");
    let check = |line: &str, expect: &str| {
        let text = format!("FROM scratch AS s\nRUN write /f 1\nFROM scratch\n{line}\n");
        let got = house.build(&text).error().to_string();
        assert!(got.contains(expect), "{line}: {got}");
    };
    check("COPY missing /", "\"/missing\": not found");
    check("COPY miss*ng /", "\"/miss*ng\": not found");
    check("COPY ignored /", "\"/ignored\": not found");
    check("COPY ../../a/b /", "\"/a/b\": not found");
    check("COPY --from=s /g /", "\"/g\": not found");
    check("COPY --chown=nobody a /", "no such user: nobody");
    check("COPY [ /", "syntax error in pattern");
    check("COPY --from=3 a /", "invalid from flag value 3");
    check(
        "COPY a .dockerignore /x",
        "the destination must be a directory and end with a /",
    );
}

#[test]
fn bases_targets_and_epochs_that_are_not_there() {
    let house = House::new();
    house.base("base", "linux/amd64", &[file("a", "")], "{}");
    let outcome = house.build("FROM nowhere\n");
    assert_eq!(outcome.error().class(), ErrorClass::NotFound);
    let blamed = |text: &str| {
        let outcome = house.build(text);
        let error = outcome.error();
        assert!(
            error.to_string().starts_with("nowhere:latest: failed to resolve"),
            "{error}"
        );
        error.source_lines().map(ferry_build::Source::place).unwrap_or_default()
    };
    assert_eq!(blamed("FROM nowhere\n"), "Dockerfile:1");
    assert_eq!(blamed("FROM base\n\nCOPY --from=nowhere /a /\n"), "Dockerfile:3");
    assert_eq!(
        blamed("FROM scratch\nFROM nowhere AS b\nFROM b\nRUN --mount=from=nowhere,target=/m x\n"),
        "Dockerfile:2"
    );
    let outcome = house.build_as("FROM base\n", house.request(&["linux/s390x"]));
    assert!(outcome.error().to_string().contains("not found for linux/s390x"));
    let mut request = house.request(&["linux/amd64"]);
    request.target = Some("x".to_owned());
    let outcome = house.build_as("FROM scratch AS a\n", request);
    assert_eq!(outcome.error().to_string(), "target stage \"x\" could not be found");
    assert_eq!(outcome.error().hint().as_deref(), Some("the Dockerfile's stages are a"));
    let mut request = house.request(&["linux/amd64"]);
    request
        .build_args
        .insert("SOURCE_DATE_EPOCH".to_owned(), "now".to_owned());
    let outcome = house.build_as("FROM scratch\n", request);
    assert!(
        outcome
            .error()
            .to_string()
            .starts_with("invalid SOURCE_DATE_EPOCH \"now\"")
    );
    assert!(message("FROM $nothing\n").contains("base name ($nothing) should not be blank"));
    assert!(message("FROM --platform=x/y/z/w scratch\n").contains("failed to parse platform"));
}

#[test]
fn a_command_that_cannot_start_is_the_runners_to_explain() {
    if !is_root() {
        return;
    }
    let outcome = House::new().build("FROM scratch\nRUN [\"/missing\", \"x\"]\n");
    assert_eq!(
        outcome.error().to_string(),
        "exec: \"/missing\": no such file or directory"
    );
    assert_eq!(outcome.error().source_lines().unwrap().place(), "Dockerfile:2");
    let is_vertex = |event: &&BuildEvent| matches!(event, BuildEvent::Vertex(_));
    assert!(outcome.events.iter().filter(is_vertex).count() > 2);
}
