//! `docker build`, `docker buildx` and `docker compose build`, unmodified, with Ferry as their engine.

use ferry_tests::{Engine, Finished, PLATFORMS, Registry, Shell, docker_client};

const DOCKERFILE: &str = "\
FROM busybox AS base
ARG WHO=nobody
RUN echo made for $WHO on $(uname -m) >/note
FROM base AS other
RUN echo other >/other
FROM base
COPY file /file
CMD [\"cat\", \"/note\"]
";

/// An engine with busybox for two CPUs, a shell with the Docker CLI for it, and a context in `app`.
fn builder() -> Option<(Engine, Shell)> {
    let engine = Engine::start()?;
    let shell = docker_client(&engine)?;
    engine.make_busybox_for(&PLATFORMS[..2])?;
    engine.file("app/Dockerfile", DOCKERFILE);
    engine.file("app/file", "content\n");
    Some((engine, shell))
}

#[track_caller]
fn once(progress: &Finished, part: &str) {
    let text = progress.errors();
    let count = text.matches(part).count();
    assert_eq!(count, 1, "{part:?} in\n{text}");
}

#[test]
fn a_build_is_told_run_and_cached() {
    let Some((engine, docker)) = builder() else { return };
    let build = "docker build --progress plain --build-arg WHO=me -t app";
    let first = docker
        .sh(&format!("{build} --metadata-file meta.json --iidfile id app"))
        .succeeds();
    for part in [
        "[internal] load build definition from Dockerfile\n",
        "[internal] load .dockerignore\n",
        "[base 2/2] RUN echo made for me",
        "exporting to image\n",
        "naming to docker.io/library/app:latest\n",
    ] {
        once(&first, part);
    }
    let id = engine.digest("app");
    docker.sh("cat id").prints(&id);
    let metadata = docker.sh("cat meta.json").json();
    assert_eq!(metadata["containerimage.digest"], id.as_str());
    assert_eq!(metadata["image.name"], "docker.io/library/app:latest");
    docker.sh("docker run --rm app").says("made for me on ");

    let second = docker.sh(&format!("{build} app")).succeeds();
    for step in ["[base 1/2]", "[base 2/2]", "[stage-2 1/1]"] {
        let text = second.errors();
        let number = text
            .lines()
            .find(|line| line.contains(step))
            .and_then(|line| line.split(' ').next());
        let number = number.unwrap_or_else(|| panic!("{step} in\n{text}"));
        assert!(text.contains(&format!("{number} CACHED")), "{step} in\n{text}");
    }
    docker.sh("docker build -q --build-arg WHO=me app").prints(&id);
    docker
        .sh("docker build --progress plain --no-cache app")
        .succeeds()
        .does_not_complain("[base 2/2] RUN echo made for nobody on $(uname -m) >/note\n#5 CACHED");
    docker
        .sh("docker build -q --target other -t other app && docker run --rm other cat /other")
        .says("other");
    docker
        .sh("printf 'FROM busybox\\nRUN echo piped >/p\\n' | docker build -q -t piped - && docker run --rm piped cat /p")
        .says("piped");
    docker
        .sh("tar -C app -c . | docker build -q -t archive - && docker run --rm archive")
        .says("made for nobody");
}

#[test]
fn several_platforms_are_built_and_pushed() {
    let Some((engine, docker)) = builder() else { return };
    let Some(registry) = Registry::start(engine.host()) else {
        return;
    };
    let name = format!("{}/app:1", registry.address);
    docker
        .sh(&format!(
            "docker buildx build --platform linux/amd64,linux/arm64 --push -t {name} app"
        ))
        .succeeds()
        .complains("pushing");
    docker
        .sh(&format!("docker buildx imagetools inspect {name}"))
        .succeeds()
        .says("linux/amd64")
        .says("linux/arm64");
    docker.sh(&format!("docker rmi {name}")).succeeds();
    for platform in &PLATFORMS[..2] {
        docker
            .sh(&format!(
                "docker run --rm --pull always --platform {} {name}",
                platform.name
            ))
            .succeeds()
            .says(&format!("made for nobody on {}", platform.machine));
    }
}

#[test]
fn results_go_where_they_are_wanted() {
    let Some((_engine, docker)) = builder() else { return };
    docker
        .sh("docker buildx build -o type=oci,dest=oci.tar app && tar -tf oci.tar")
        .succeeds()
        .says("oci-layout");
    docker
        .sh("docker buildx build -t taken -o type=docker,dest=docker.tar app && docker load -i docker.tar")
        .says("Loaded image: taken:latest");
    docker
        .sh("docker buildx build -o type=cacheonly app && docker images -q cacheonly")
        .prints("");
    docker
        .sh("docker buildx build --load -t loaded app && docker run --rm loaded")
        .says("made for nobody");
}

#[test]
fn files_go_where_they_are_wanted() {
    let Some((engine, docker)) = builder() else { return };
    let build = "docker buildx build -f app/files";
    engine.file(
        "app/files",
        "FROM busybox AS make
RUN mkdir -p /out/deep /out/empty && echo one >/out/deep/one && chmod 750 /out/deep/one && ln -s deep/one /out/link
RUN uname -m >/out/machine && head -c 300000 /dev/zero >/out/large
FROM scratch
COPY --from=make /out /
COPY file /deep/
",
    );
    docker.sh(&format!("{build} -o local app")).succeeds();
    docker
        .sh("cd local && cat deep/one deep/file link && stat -c '%a %s' deep/one large && ls")
        .succeeds()
        .prints("one\ncontent\none\n750 4\n644 300000\ndeep\nempty\nlarge\nlink\nmachine");
    docker
        .sh(&format!("{build} -o type=tar,dest=files.tar app && tar -tf files.tar"))
        .succeeds()
        .says("deep/one\n")
        .says("empty/\n");
    docker
        .sh(&format!("{build} --platform linux/amd64,linux/arm64 -o both app"))
        .succeeds();
    docker
        .sh("cat both/linux_amd64/machine both/linux_arm64/machine")
        .prints("x86_64\naarch64");
    docker
        .sh(&format!(
            "{build} --platform linux/amd64,linux/arm64 -o - app | tar -tf -"
        ))
        .succeeds()
        .says("linux_arm64/deep/file");
}

#[test]
fn secrets_are_seen_by_their_step_alone() {
    let Some((engine, docker)) = builder() else { return };
    engine.file(
        "app/secret",
        "FROM busybox
RUN --mount=type=secret,id=key cat /run/secrets/key | tr a-z A-Z >/seen && stat -c %a:%u /run/secrets/key >>/seen
RUN --mount=type=secret,id=key,env=KEY echo $KEY | rev >>/seen
RUN --mount=type=secret,id=none test ! -e /run/secrets/none && ls -A /run >>/seen
",
    );
    engine.file("key", "never-kept");
    docker
        .sh("docker build -q -f app/secret --secret id=key,src=key -t seen app")
        .succeeds();
    docker
        .sh("docker run --rm seen cat /seen")
        .prints("NEVER-KEPT400:0\ntpek-reven");
    // What was thrown away may go while grep looks.
    let kept = format!("! grep -rls never-kept {}", engine.data_root().display());
    docker.sh(&kept).succeeds().prints("");
    engine.file(
        "app/must",
        "FROM busybox\nRUN --mount=type=secret,id=no,required cat /run/secrets/no\n",
    );
    docker
        .sh("docker build -f app/must app")
        .exits(1)
        .complains("secret no: not found");
    let left = format!(
        "find {} {} -name 'secret-*'",
        engine.exec_root().display(),
        engine.data_root().display()
    );
    docker.sh(&left).prints("");
}

#[test]
fn failures_name_their_line() {
    let Some((engine, docker)) = builder() else { return };
    for (dockerfile, expected) in [
        (
            "FROM busybox\nRUN echo before; exit 5\n",
            &[">>> RUN echo before", "exit code: 5", "before"][..],
        ),
        (
            "FROM busybox\nRUNN echo\n",
            &[">>> RUNN echo", "unknown instruction: RUNN (did you mean RUN?)"],
        ),
        (
            "FROM busybox\nCOPY none /\n",
            &[">>> COPY none /", "\"/none\": not found"],
        ),
    ] {
        engine.file("app/bad", dockerfile);
        let failed = docker.sh("docker build --progress plain -f app/bad app").exits(1);
        for part in expected {
            assert!(failed.errors().contains(part), "{part:?} in\n{}", failed.errors());
        }
    }
    docker
        .sh("docker build -f app/none app")
        .exits(1)
        .complains("failed to read dockerfile: open none: no such file or directory");
}

#[test]
fn compose_and_bake_build_several_targets_at_once() {
    let Some((engine, docker)) = builder() else { return };
    engine.file(
        "compose.yml",
        "services:\n  a: {build: ./app, image: first}\n  b: {build: {context: ./app, target: other}, image: second}\n",
    );
    docker.sh("docker compose -f compose.yml build").succeeds();
    docker
        .sh("docker run --rm first && docker run --rm second cat /other")
        .says("other");
    engine.file(
        "bake.json",
        r#"{"target": {"a": {"context": "app", "tags": ["third"]}, "b": {"context": "app", "target": "other", "tags": ["fourth"]}}}"#,
    );
    let baked = docker
        .sh("docker buildx bake -f bake.json --progress plain a b")
        .succeeds();
    once(&baked, "[a] exporting to image\n");
    once(&baked, "[b] exporting to image\n");
    docker
        .sh("docker run --rm third && docker run --rm fourth cat /other")
        .says("other");
}

#[test]
fn the_classic_builder_is_refused_with_a_remedy() {
    let Some((_engine, docker)) = builder() else { return };
    docker
        .sh("DOCKER_BUILDKIT=0 docker build app")
        .exits(1)
        .complains("the classic builder is not supported; build with BuildKit");
}
