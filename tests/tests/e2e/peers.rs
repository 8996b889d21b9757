//! Other tools and Ferry's images: what Skopeo, Podman and Docker make of them, and Ferry of theirs.

use std::rc::Rc;

use ferry_tests::{Engine, Finished, Host, PLATFORMS, Registry, Setup, docker_engine, has_program, host_platform};

/// A registry with `app`, which Ferry built for three CPUs and pushed.
fn pushed() -> Option<(Rc<Host>, Registry, Engine, String)> {
    let host = Host::new()?;
    let registry = Registry::start(&host)?;
    let engine = Engine::on(&host);
    engine.make_busybox_for(&PLATFORMS[..3])?;
    engine.file(
        "app/Dockerfile",
        "FROM busybox\nRUN echo made by ferry >/note\nENV A=b\nCMD [\"cat\", \"/note\"]\n",
    );
    let names: Vec<&str> = PLATFORMS[..3].iter().map(|platform| platform.name).collect();
    let name = format!("{}/app", registry.address);
    engine
        .sh(&format!(
            "ferry build -q --platform {} -t {name} app && ferry push -q {name}",
            names.join(",")
        ))
        .succeeds();
    Some((host, registry, engine, name))
}

#[test]
fn skopeo_inspects_and_copies_what_ferry_pushed() {
    let Some((host, registry, engine, name)) = pushed() else {
        return;
    };
    if !has_program("skopeo") {
        return;
    }
    let raw = host
        .sh(&format!(
            "skopeo inspect --raw --tls-verify=false docker://{name} | sha256sum"
        ))
        .succeeds()
        .text();
    assert_eq!(format!("sha256:{}", &raw[..64]), engine.digest(&name));
    for platform in &PLATFORMS[..3] {
        let parts: Vec<&str> = platform.name.split('/').collect();
        let variant = parts
            .get(2)
            .map(|variant| format!("--override-variant {variant}"))
            .unwrap_or_default();
        let seen = host
            .sh(&format!(
                "skopeo --override-arch {} {variant} inspect --tls-verify=false docker://{name}",
                parts[1]
            ))
            .succeeds()
            .json();
        assert_eq!(seen["Architecture"], parts[1]);
        assert!(
            seen["Env"]
                .as_array()
                .is_some_and(|variables| variables.iter().any(|variable| variable == "A=b"))
        );
    }
    let copied = format!("{}/copied", registry.address);
    host.sh(&format!("skopeo --insecure-policy copy -q --all --src-tls-verify=false --dest-tls-verify=false docker://{name} docker://{copied}")).succeeds();
    let two = Engine::set_up(
        &host,
        Setup {
            name: "two",
            ..Setup::default()
        },
    );
    two.sh(&format!("ferry pull -q --all-platforms {copied}")).succeeds();
    assert_eq!(two.digest(&copied), engine.digest(&name));
    host.sh(&format!("skopeo --insecure-policy copy -q --src-tls-verify=false docker://{name} docker-archive:d.tar:a:b && skopeo --insecure-policy copy -q --all --src-tls-verify=false docker://{name} oci:layout:a")).succeeds();
}

#[test]
fn ferry_runs_what_skopeo_converted() {
    let Some((host, registry, engine, name)) = pushed() else {
        return;
    };
    if !has_program("skopeo") {
        return;
    }
    for format in ["v2s2", "oci"] {
        let other = format!("{}/{format}", registry.address);
        let copy = "skopeo --insecure-policy copy -q --src-tls-verify=false --dest-tls-verify=false";
        host.sh(&format!("{copy} --format {format} docker://{name} docker://{other}"))
            .succeeds();
        engine
            .sh(&format!("ferry run --rm {other}"))
            .succeeds()
            .prints("made by ferry");
    }
}

/// Runs `script` in a mount namespace of its own where Podman's state lies in memory; `$PODMAN` is the command,
/// `$LIMITS` what its containers need where rlimits cannot be raised and cgroups are of version 1.
#[track_caller]
fn podman(host: &Host, script: &str) -> Finished {
    let prelude = r#"
        mount --make-rprivate / && mount -t tmpfs none /run && mount -t tmpfs none /dev/shm && mkdir -p /run/state /run/tmp
        export TMPDIR=/run/tmp PODMAN_IGNORE_CGROUPSV1_WARNING=1
        PODMAN="podman --root /run/state/root --runroot /run/state/run --tmpdir /run/state/tmp --cgroup-manager cgroupfs --events-backend none --storage-driver vfs --runtime $(command -v runc)"
        LIMITS="--pull=never --network none --cgroup-parent /e2e-podman-$$ --ulimit nofile=1024:1024 --ulimit nproc=1024:1024"
        trap 'find /sys/fs/cgroup -depth -type d -path "*e2e-podman-$$*" -exec rmdir {} +' EXIT
    "#;
    host.file("podman.sh", format!("{prelude}\nset -e\n{script}"));
    host.sh("unshare --mount sh podman.sh")
}

#[test]
fn podman_runs_what_ferry_pushed_and_ferry_what_podman_pushed() {
    let Some((host, registry, engine, name)) = pushed() else {
        return;
    };
    if !(has_program("podman") && has_program("runc")) {
        return;
    }
    let theirs = format!("{}/podmans", registry.address);
    podman(
        &host,
        &format!(
            "$PODMAN pull -q --tls-verify=false {name} >/dev/null
            $PODMAN run --rm $LIMITS {name}
            $PODMAN create -q --name c $LIMITS {name} sh -c 'echo made by podman >/note' >/dev/null
            $PODMAN start -a c
            $PODMAN commit -q c {theirs} >/dev/null
            $PODMAN rm c >/dev/null
            $PODMAN push -q --tls-verify=false {theirs}"
        ),
    )
    .succeeds()
    .prints("made by ferry");
    engine
        .sh(&format!("ferry run --rm {theirs} cat /note"))
        .succeeds()
        .prints("made by podman");
}

#[test]
fn docker_runs_what_ferry_pushed_and_ferry_what_docker_pushed() {
    let Some((host, registry, engine, name)) = pushed() else {
        return;
    };
    let Some(peers) = docker_engine() else {
        return;
    };
    let theirs = format!("{}/dockers", registry.address);
    let share = host.path("theirs");
    host.file(
        "theirs/Dockerfile",
        format!("FROM {name}\nRUN echo made by docker >/note\n"),
    );
    // Without a process, so that Docker builds it for CPUs that it cannot run.
    host.file(
        "theirs/several/Dockerfile",
        format!("FROM {name}\nCOPY Dockerfile /copied\n"),
    );
    engine.sh(&format!("ferry save -o theirs/saved.tar {name}")).succeeds();
    for store in ["overlay2", "containerd"] {
        let several = match store {
            "containerd" => format!(
                "docker buildx build -q --platform linux/amd64,linux/arm64 --push -t {theirs}-several /share/several >/dev/null
                docker buildx imagetools inspect {name} | grep -c Platform:.*linux/arm"
            ),
            _ => String::new(),
        };
        // A Docker whose state lies in memory, in this host's network.
        host.sh(&format!(
            "PEERS_STORE={store} PEERS_SHARE={} {peers} with-docker sh -ec '
                docker run --rm {name}
                docker build -q -t {theirs} /share >/dev/null
                docker push -q {theirs} >/dev/null
                docker run --rm {theirs}
                {several}
                docker save -o /share/theirs.tar {theirs}
                docker rmi -f {name} >/dev/null
                docker load -q -i /share/saved.tar
                docker run --rm --pull never {name}'",
            share.display()
        ))
        .succeeds()
        .says("made by ferry\nmade by docker")
        .says(&format!("Loaded image: {name}:latest\nmade by ferry"));
        engine
            .sh(&format!(
                "ferry run --rm --pull always --platform {} {theirs}",
                host_platform().name
            ))
            .succeeds()
            .prints("made by docker");
        engine
            .sh(&format!(
                "ferry rmi -f {theirs} && ferry load -i theirs/theirs.tar && ferry run --rm --pull never {theirs}"
            ))
            .succeeds()
            .says("made by docker");
    }
    for platform in &PLATFORMS[..2] {
        engine
            .sh(&format!(
                "ferry run --rm --pull always --platform {} {theirs}-several sh -c 'uname -m; cat /note'",
                platform.name
            ))
            .succeeds()
            .prints(&format!("{}\nmade by ferry", platform.machine));
    }
}
