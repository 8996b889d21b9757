//! What a wrong Dockerfile, a missing base or a failing step gets, and that nothing is made.

use ferry_tests::{Engine, Finished};

/// Builds `dockerfile`, which must fail with status 1 and make nothing.
#[track_caller]
fn refused(engine: &Engine, dockerfile: &str) -> Finished {
    let before = engine.sh("ferry images -a --no-trunc -q").succeeds().text();
    engine.file("wrong/Dockerfile", dockerfile);
    engine.file("wrong/present", "here");
    let finished = engine.sh("ferry build -t wrong wrong").exits(1);
    engine.sh("ferry images -a --no-trunc -q").succeeds().prints(&before);
    engine.sh("ferry image inspect wrong").exits(1);
    finished
}

#[test]
fn a_syntax_error_is_shown_with_its_file_line_and_text() {
    let Some(engine) = Engine::with_busybox() else { return };
    for (dockerfile, line, text, expected) in [
        ("FROM busybox\nRUNN echo x\n", 2, "RUNN echo x", "RUN"),
        (
            "FROM busybox\n\n# note\nCOPY onlyone\n",
            4,
            "COPY onlyone",
            "destination",
        ),
        ("FROM busybox\nRUN [\"sh\", \"-c\"\n", 2, "RUN [\"sh\", \"-c\"", ""),
        ("FROM busybox\nENV\n", 2, "ENV", ""),
        ("FROM busybox\nWORKDIR\n", 2, "WORKDIR", ""),
        (
            "FROM busybox\nHEALTHCHECK --interval=soon CMD true\n",
            2,
            "--interval=soon",
            "",
        ),
        ("FROM busybox\nCOPY --form=x a b\n", 2, "--form", "--from"),
        ("RUN true\n", 1, "RUN true", "FROM"),
        ("FROM busybox AS a b\n", 1, "FROM busybox AS a b", ""),
        ("FROM busybox\nLABEL a=\"unclosed\n", 2, "LABEL", "quote"),
    ] {
        refused(&engine, dockerfile)
            .complains(&format!("Dockerfile:{line}"))
            .complains(text)
            .complains(expected);
    }
}

#[test]
fn a_missing_or_empty_dockerfile_is_named() {
    let Some(engine) = Engine::start() else { return };
    engine.file("empty/README", "no Dockerfile here");
    engine.sh("ferry build -t x empty").exits(1).complains("Dockerfile");
    engine.sh("ferry build -t x nowhere").exits(1).complains("nowhere");
    engine.file("blank/Dockerfile", "# nothing but a comment\n");
    engine.sh("ferry build -t x blank").exits(1).complains("Dockerfile");
}

#[test]
fn a_missing_base_is_named_with_its_line_and_a_remedy() {
    let Some(engine) = Engine::with_busybox() else { return };
    refused(&engine, "FROM 127.0.0.1:1/nothing/here:9\n")
        .complains("127.0.0.1:1/nothing/here:9")
        .complains("Dockerfile:1");
    refused(&engine, "FROM busybox\nCOPY --from=127.0.0.1:1/absent /a /b\n").complains("127.0.0.1:1/absent");
}

#[test]
fn a_base_without_the_platform_says_which_it_has() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("wrong/Dockerfile", "FROM busybox\n");
    engine
        .sh("ferry build --platform linux/mips64le -t wrong wrong")
        .exits(1)
        .complains("linux/mips64le");
    engine
        .sh("ferry build --platform linux/amd65 -t wrong wrong")
        .exits(1)
        .complains("amd65");
    engine
        .sh("ferry build --platform nonsense/too/many/parts -t wrong wrong")
        .exits(1)
        .complains("nonsense");
}

#[test]
fn a_step_that_fails_shows_its_output_and_status() {
    let Some(engine) = Engine::with_busybox() else { return };
    refused(&engine, "FROM busybox\nRUN echo before-the-end; exit 7\n")
        .complains("before-the-end")
        .complains("exit code: 7")
        .complains("Dockerfile:2");
    refused(&engine, "FROM busybox\nRUN [\"/no/such/program\"]\n").complains("/no/such/program");
    refused(&engine, "FROM busybox\nCOPY absent /x\n")
        .complains("absent")
        .complains("Dockerfile:2");
    refused(&engine, "FROM busybox\nCOPY ../../etc/passwd /x\n").complains("etc/passwd");
    refused(&engine, "FROM busybox\nCOPY --from=nostage /x /y\n").complains("nostage");
    refused(&engine, "FROM busybox\nUSER nosuchuser\nRUN true\n").complains("nosuchuser");
}

#[test]
fn a_link_in_the_context_does_not_lead_out_of_it() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("secret", "host's own");
    engine
        .host()
        .sh("mkdir wrong && ln -s ../secret wrong/way && ln -s .. wrong/up")
        .succeeds();
    refused(&engine, "FROM busybox\nCOPY way/ /x/\n").does_not_complain("host's own");
    refused(&engine, "FROM busybox\nCOPY up/secret /x\n").complains("secret");
}
