//! `ferry build`: instructions, contexts, stages, platforms, cache.

use ferry_tests::{Engine, PLATFORMS, host_platform};
use serde_json::{Value, json};

/// The configuration of an image, as `inspect` shows it.
fn config_of(engine: &Engine, image: &str) -> Value {
    engine.sh(&format!("ferry image inspect {image}")).succeeds().json()[0]["Config"].clone()
}

/// How many steps a build took from its cache, bases left out.
fn cached_steps(shown: &str) -> usize {
    let number_of = |line: &str| {
        line.strip_prefix('#')
            .and_then(|rest| rest.split(' ').next())
            .map(str::to_owned)
    };
    let bases: Vec<_> = shown
        .lines()
        .filter(|line| line.contains("] FROM "))
        .filter_map(number_of)
        .collect();
    let cached = shown
        .lines()
        .filter(|line| line.ends_with(" CACHED"))
        .filter_map(number_of);
    cached.filter(|number| !bases.contains(number)).count()
}

#[test]
fn a_dockerfile_becomes_an_image_that_runs() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nCOPY greeting /greeting\nRUN tr a-z A-Z </greeting >/shout\nCMD [\"cat\", \"/shout\"]\n",
    );
    engine.file("app/greeting", "ahoy\n");
    engine.sh("ferry build -t app app").succeeds();
    engine.sh("ferry run --rm app").succeeds().prints("AHOY");
}

#[test]
fn quiet_prints_the_digest_alone() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("app/Dockerfile", "FROM busybox\nRUN echo noise\n");
    let printed = engine.sh("ferry build -q -t app app").succeeds().text();
    assert_eq!(printed, engine.digest("app"));
}

#[test]
fn instructions_end_in_the_configuration() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "app/Dockerfile",
        r#"ARG TAG=latest
FROM busybox:${TAG}
ARG WHO=nobody
ENV NAME="Ferry man" PORT=8080
ENV GREETING="hello ${WHO:-you} from $NAME"
LABEL org.example.title="A title" version=1
WORKDIR /srv
WORKDIR data
EXPOSE 8080 53/udp ${PORT}/tcp
VOLUME ["/var/data", "/var/log"]
USER 1000:1000
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=5s --timeout=2s --retries=4 CMD true
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT ["/bin/echo", "-n"]
CMD ["a", "b"]
"#,
    );
    engine
        .sh("ferry build --build-arg WHO=sailor --label added=yes -t app app")
        .succeeds();
    let config = config_of(&engine, "app");
    let environment = config["Env"].as_array().cloned().unwrap_or_default();
    assert!(
        environment.contains(&json!("GREETING=hello sailor from Ferry man")),
        "{environment:?}"
    );
    assert!(
        environment
            .iter()
            .any(|variable| variable.as_str().is_some_and(|text| text.starts_with("PATH=")))
    );
    assert_eq!(
        config["Labels"],
        json!({"org.example.title": "A title", "version": "1", "added": "yes"})
    );
    assert_eq!(config["WorkingDir"], "/srv/data");
    assert_eq!(config["ExposedPorts"], json!({"8080/tcp": {}, "53/udp": {}}));
    assert_eq!(config["Volumes"], json!({"/var/data": {}, "/var/log": {}}));
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["StopSignal"], "SIGUSR1");
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD-SHELL", "true"]));
    assert_eq!(config["Healthcheck"]["Interval"], 5_000_000_000_u64);
    assert_eq!(config["Healthcheck"]["Retries"], 4);
    assert_eq!(config["Shell"], json!(["/bin/sh", "-ec"]));
    assert_eq!(config["Entrypoint"], json!(["/bin/echo", "-n"]));
    assert_eq!(config["Cmd"], json!(["a", "b"]));
    engine.sh("ferry run --rm app").succeeds().prints("a b");
}

#[test]
fn files_get_the_owner_and_mode_that_were_asked_for() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("app/plain", "1");
    engine.file("app/folder/inner", "2");
    engine.host().sh("chmod 640 app/plain && chown 77:78 app/plain && ln -s inner app/folder/link && tar -cf app/files.tar -C app folder").succeeds();
    engine.file(
        "app/Dockerfile",
        "FROM busybox AS files\nRUN mkdir /made && echo 3 >/made/three && chown 5:6 /made/three\n\
         FROM busybox\nCOPY plain /plain\nCOPY --chown=12:34 --chmod=604 plain /changed\nCOPY --chown=nobody folder /folder/\n\
         COPY --from=files /made /made\nADD files.tar /unpacked/\n",
    );
    engine.sh("ferry build -t app app").succeeds();
    for (path, expected) in [
        ("/plain", "640 0:0"),
        ("/changed", "604 12:34"),
        ("/folder/inner", "644 65534:"),
        ("/made/three", "644 5:6"),
        ("/unpacked/folder/inner", "644 0:0"),
    ] {
        engine
            .sh(&format!("ferry run --rm app stat -c '%a %u:%g' {path}"))
            .succeeds()
            .says(expected);
    }
    engine
        .sh("ferry run --rm app readlink /unpacked/folder/link")
        .succeeds()
        .prints("inner");
}

#[test]
fn a_stage_can_be_the_target() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("app/Dockerfile", "FROM busybox AS first\nRUN echo first >/stage\nFROM first AS second\nRUN echo second >/stage\nFROM second\nRUN false\n");
    engine.sh("ferry build --target second -t app app").succeeds();
    engine.sh("ferry run --rm app cat /stage").succeeds().prints("second");
}

#[test]
fn triggers_fire_in_the_build_that_uses_the_image() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "parent/Dockerfile",
        "FROM busybox\nONBUILD COPY note /note\nONBUILD RUN cat /note /note >/twice\n",
    );
    engine.file("child/Dockerfile", "FROM parent\n");
    engine.file("child/note", "n\n");
    engine
        .sh("ferry build -t parent parent && ferry build -t child child")
        .succeeds();
    engine.sh("ferry run --rm child cat /twice").succeeds().prints("n\nn");
}

#[test]
fn ignored_files_do_not_enter() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("app/Dockerfile", "FROM busybox\nCOPY . /all\n");
    engine.file(
        "app/.dockerignore",
        "# comment\n*.log\nnode_modules\n!keep.log\n**/secret\n",
    );
    for name in [
        "a.txt",
        "b.log",
        "keep.log",
        "node_modules/x",
        "deep/secret",
        "deep/open",
    ] {
        engine.file(&format!("app/{name}"), name);
    }
    engine.sh("ferry build -t app app").succeeds();
    engine
        .sh("ferry run --rm app sh -c 'cd /all && find . -type f | sort'")
        .succeeds()
        .prints("./.dockerignore\n./Dockerfile\n./a.txt\n./deep/open\n./keep.log");
}

#[test]
fn the_output_of_steps_is_shown_with_their_platform() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nRUN echo one-$((20+1)); echo two-$((20+2)) >&2\n",
    );
    let shown = engine.sh("ferry build --progress plain -t app app").succeeds().all();
    assert!(shown.contains("one-21") && shown.contains("two-22"), "{shown}");
}

#[test]
fn an_unchanged_build_does_nothing_and_says_so() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("app/Dockerfile", "FROM busybox\nWORKDIR /w\nRUN head -c 16 /dev/urandom | od -An -tx1 >random\nCOPY file .\nRUN cat random file >both\n");
    engine.file("app/file", "contents");
    engine.sh("ferry build -t app app").succeeds();
    let first = engine.digest("app");
    // What is not content does not count: times, and the place of the context.
    engine
        .host()
        .sh("touch -d 2001-02-03 app/file && cp -r app moved")
        .succeeds();
    let shown = engine.sh("ferry build --progress plain -t app moved").succeeds().all();
    assert_eq!(cached_steps(&shown), 4, "{shown}");
    assert_eq!(engine.digest("app"), first);
    // What is, does: from that step on.
    engine.file("app/file", "other");
    let shown = engine.sh("ferry build --progress plain -t app app").succeeds().all();
    assert_eq!(cached_steps(&shown), 2, "{shown}");
    assert_ne!(engine.digest("app"), first);
}

#[test]
fn no_cache_runs_every_step_again() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nRUN head -c 16 /dev/urandom | od -An -tx1 >/random\n",
    );
    engine.sh("ferry build -t app app").succeeds();
    let first = engine.sh("ferry run --rm app cat /random").succeeds().text();
    let shown = engine
        .sh("ferry build --no-cache --progress plain -t app app")
        .succeeds()
        .all();
    assert_eq!(cached_steps(&shown), 0, "{shown}");
    assert_ne!(engine.sh("ferry run --rm app cat /random").succeeds().text(), first);
}

#[test]
fn one_dockerfile_becomes_one_image_for_seven_cpus() {
    let Some(engine) = Engine::start() else { return };
    if engine.make_busybox_for(&PLATFORMS).is_none() {
        return;
    }
    engine.file(
        "app/Dockerfile",
        "FROM --platform=$BUILDPLATFORM busybox AS here\nARG TARGETARCH BUILDPLATFORM\nRUN echo \"$BUILDPLATFORM $TARGETARCH $(uname -m)\" >/here\n\
         FROM busybox\nARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT\n\
         RUN echo \"$TARGETPLATFORM $TARGETOS $TARGETARCH $TARGETVARIANT\" >/args && uname -m >/machine\nCOPY --from=here /here /here\n",
    );
    let names: Vec<&str> = PLATFORMS.iter().map(|platform| platform.name).collect();
    let all = names.join(",");
    engine
        .sh(&format!("ferry build --platform {all} -t app app"))
        .succeeds();
    for platform in PLATFORMS {
        let parts: Vec<&str> = platform.name.split('/').collect();
        let (architecture, variant) = (parts[1], parts.get(2).copied().unwrap_or_default());
        let native = host_platform();
        let expected = format!(
            "{} linux {architecture} {variant}\n{}\n{} {architecture} {}",
            platform.name, platform.machine, native.name, native.machine
        );
        let seen = engine.sh(&format!(
            "ferry run --rm --platform {} app cat /args /machine /here",
            platform.name
        ));
        let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(&seen.succeeds().text()), lines(&expected));
    }
    let digest = engine.digest("app");
    let shown = engine
        .sh(&format!("ferry build --platform {all} --progress plain -t app app"))
        .succeeds()
        .all();
    assert_eq!(cached_steps(&shown), 3 * PLATFORMS.len(), "{shown}");
    assert_eq!(engine.digest("app"), digest);
}

#[test]
fn the_context_may_come_from_stdin_or_a_named_file() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("app/sub/Other.dockerfile", "FROM busybox\nCOPY note /note\n");
    engine.file("app/note", "n");
    engine
        .sh("ferry build -f app/sub/Other.dockerfile -t named app")
        .succeeds();
    engine.sh("ferry run --rm named cat /note").succeeds().prints("n");
    engine
        .shell()
        .sh_with_input("ferry build -t typed -", b"FROM busybox\nRUN echo typed >/note\n")
        .succeeds();
    engine.sh("ferry run --rm typed cat /note").succeeds().prints("typed");
}
