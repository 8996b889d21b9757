//! `push`, `pull`, `login`, `logout` against Debian's docker-registry: plain and TLS, open and with passwords.

use std::fs;
use std::rc::Rc;

use ferry_tests::{Access, Engine, Host, PLATFORMS, Platform, Registry, Setup, Transport};

/// A registry on loopback, and an engine with the image `app` for some CPUs.
fn harbour(platforms: &[Platform]) -> Option<(Rc<Host>, Registry, Engine)> {
    let host = Host::new()?;
    let registry = Registry::start(&host)?;
    let engine = Engine::on(&host);
    engine.make_busybox_for(platforms)?;
    engine.file("app/Dockerfile", "FROM busybox\nARG TARGETPLATFORM\nRUN echo $TARGETPLATFORM >/built-for\nCOPY note /note\nENV A=b\nCMD [\"cat\", \"/note\"]\n");
    engine.file("app/note", "shipped\n");
    let names: Vec<&str> = platforms.iter().map(|platform| platform.name).collect();
    engine
        .sh(&format!("ferry build -q --platform {} -t app app", names.join(",")))
        .succeeds();
    Some((host, registry, engine))
}

fn second_engine(host: &Rc<Host>) -> Engine {
    Engine::set_up(
        host,
        Setup {
            name: "two",
            ..Setup::default()
        },
    )
}

/// Paths of all blobs that an engine has, as text.
fn blobs(engine: &Engine) -> String {
    engine
        .host()
        .sh(&format!(
            "cd {} && find blobs -type f | sort",
            engine.data_root().display()
        ))
        .succeeds()
        .text()
}

#[test]
fn what_was_pushed_is_pulled_with_the_same_digest() {
    let Some((host, registry, one)) = harbour(&PLATFORMS[..1]) else {
        return;
    };
    let name = format!("{}/fleet/app:v1", registry.address);
    one.sh(&format!("ferry tag app {name} && ferry push {name}"))
        .succeeds()
        .says(&one.digest("app"));
    one.sh(&format!("ferry push {name}")).succeeds().says("exists");
    let two = second_engine(&host);
    two.sh(&format!("ferry pull {name}"))
        .succeeds()
        .says(&one.digest("app"));
    assert_eq!(two.digest(&name), one.digest("app"));
    two.sh(&format!("ferry run --rm {name}")).succeeds().prints("shipped");
    two.sh(&format!("ferry pull {name}")).succeeds().says("up to date");
    // By digest, and by running what is not there yet.
    two.sh(&format!("ferry rmi {name}")).succeeds();
    two.sh(&format!(
        "ferry run --rm {}/fleet/app@{}",
        registry.address,
        one.digest("app")
    ))
    .succeeds()
    .prints("shipped");
    two.sh(&format!("ferry run --rm --pull always {name}"))
        .succeeds()
        .prints("shipped");
    two.sh(&format!(
        "ferry build -q -t child - <<'END'\nFROM {name}\nRUN cat /note >/copy\nEND"
    ))
    .succeeds();
}

#[test]
fn one_platform_comes_unless_more_are_asked_for() {
    let few = &PLATFORMS[..3];
    let Some((host, registry, one)) = harbour(few) else {
        return;
    };
    let name = format!("{}/app", registry.address);
    one.sh(&format!("ferry tag app {name} && ferry push {name}")).succeeds();
    let digest = one.digest("app");

    let two = second_engine(&host);
    two.sh(&format!("ferry pull {name}")).succeeds().says(&digest);
    assert_eq!(two.digest(&name), digest, "the index keeps its bytes");
    two.sh(&format!("ferry run --rm {name} cat /built-for"))
        .succeeds()
        .prints(ferry_tests::host_platform().name);
    let small = blobs(&two).lines().count();
    two.sh(&format!("ferry pull --platform linux/arm64 {name}")).succeeds();
    two.sh(&format!("ferry run --rm --platform linux/arm64 {name} cat /built-for"))
        .succeeds()
        .prints("linux/arm64");
    let more = blobs(&two).lines().count();
    assert!(more > small, "{small} blobs, then {more}");
    two.sh(&format!("ferry pull --all-platforms {name}")).succeeds();
    assert!(blobs(&two).lines().count() > more);
    for platform in few {
        two.sh(&format!(
            "ferry run --rm --platform {} {name} cat /built-for",
            platform.name
        ))
        .succeeds()
        .prints(platform.name);
    }
    two.sh(&format!("ferry pull --platform linux/s390x {name}"))
        .exits(1)
        .complains("linux/s390x");
    // What was pulled whole can be pushed whole, with the same digest.
    let copy = format!("{}/copy", registry.address);
    two.sh(&format!("ferry tag {name} {copy} && ferry push {copy}"))
        .succeeds()
        .says(&digest);
}

#[test]
fn seven_cpus_in_one_image() {
    let Some((host, registry, one)) = harbour(&PLATFORMS) else {
        return;
    };
    let name = format!("{}/app", registry.address);
    one.sh(&format!("ferry tag app {name} && ferry push {name}")).succeeds();
    let two = second_engine(&host);
    two.sh(&format!("ferry pull -q --all-platforms {name}")).succeeds();
    for platform in PLATFORMS {
        let run = format!("ferry run --rm --platform {} {name}", platform.name);
        two.sh(&format!("{run} uname -m")).succeeds().prints(platform.machine);
        two.sh(&format!("{run} cat /built-for"))
            .succeeds()
            .prints(platform.name);
    }
}

#[test]
fn tls_is_spoken_where_the_authority_is_trusted() {
    let Some(host) = Host::new() else { return };
    // Loopback is the exception to every rule: use an address that is not.
    host.sh("ip addr add 198.51.100.7/32 dev lo").succeeds();
    let Some(registry) = Registry::at(&host, "198.51.100.7:5443", Transport::Tls, Access::Open) else {
        return;
    };
    let wary = Engine::on(&host);
    if wary.make_busybox().is_none() {
        return;
    }
    let name = format!("{}/busybox", registry.address);
    wary.sh(&format!("ferry tag busybox {name}; ferry push {name}"))
        .exits(1)
        .complains("certificate");
    let environment = vec![("SSL_CERT_FILE".to_owned(), registry.authority().display().to_string())];
    let trusting = Engine::set_up(
        &host,
        Setup {
            name: "two",
            environment,
            ..Setup::default()
        },
    );
    trusting.make_busybox();
    trusting
        .sh(&format!(
            "ferry tag busybox {name} && ferry push {name} && ferry rmi {name} && ferry pull {name}"
        ))
        .succeeds();
    trusting
        .sh(&format!("ferry run --rm {name} echo safe"))
        .succeeds()
        .prints("safe");
}

#[test]
fn plain_http_is_for_loopback_alone() {
    let Some(host) = Host::new() else { return };
    host.sh("ip addr add 198.51.100.8/32 dev lo").succeeds();
    let Some(registry) = Registry::at(&host, "198.51.100.8:5000", Transport::Plain, Access::Open) else {
        return;
    };
    let engine = Engine::on(&host);
    engine
        .sh(&format!("ferry pull {}/app", registry.address))
        .exits(1)
        .complains("http");
}

#[test]
fn passwords_are_kept_in_docker_s_config_and_forgotten_on_logout() {
    let Some(host) = Host::new() else { return };
    let Some(registry) = Registry::at(&host, "127.0.0.1:5001", Transport::Plain, Access::Password) else {
        return;
    };
    let engine = Engine::on(&host);
    if engine.make_busybox().is_none() {
        return;
    }
    let address = &registry.address;
    let name = format!("{address}/busybox");
    engine
        .sh(&format!("ferry tag busybox {name}; ferry push {name}"))
        .exits(1)
        .complains("ferry login");
    let wrong = engine.shell().sh_with_input(
        &format!("ferry login -u sailor --password-stdin {address}"),
        b"sweet-water",
    );
    wrong.exits(1).complains(address);
    engine
        .host()
        .sh("test ! -s home/.docker/config.json || ! grep -q auths home/.docker/config.json")
        .succeeds();
    let right = engine.shell().sh_with_input(
        &format!("ferry login -u sailor --password-stdin {address}"),
        b"s3a-water\n",
    );
    right.succeeds().says("Login Succeeded");
    let config = host.path("home/.docker/config.json");
    let kept: serde_json::Value =
        serde_json::from_slice(&fs::read(&config).expect("config.json is there")).expect("it is JSON");
    assert!(kept["auths"][address.as_str()]["auth"].is_string(), "{kept}");
    engine
        .host()
        .sh("stat -c %a home/.docker/config.json")
        .succeeds()
        .prints("600");
    engine
        .sh(&format!("ferry push {name} && ferry rmi {name} && ferry pull {name}"))
        .succeeds();
    engine
        .sh(&format!("ferry rmi {name}; ferry logout {address}"))
        .succeeds();
    let kept: serde_json::Value =
        serde_json::from_slice(&fs::read(&config).expect("config.json is there")).expect("it is JSON");
    assert!(kept["auths"][address.as_str()].is_null(), "{kept}");
    engine
        .sh(&format!("ferry pull {name}"))
        .exits(1)
        .complains("ferry login");
    assert!(!engine.log().contains("s3a-water"), "the engine logs a password");
}

#[test]
fn what_is_missing_is_named() {
    let Some((_host, registry, engine)) = harbour(&PLATFORMS[..1]) else {
        return;
    };
    let address = &registry.address;
    engine
        .sh(&format!("ferry pull {address}/nothing:here"))
        .exits(1)
        .complains("nothing")
        .complains("not found");
    engine
        .sh("ferry pull 127.0.0.1:1/app")
        .exits(1)
        .complains("127.0.0.1:1")
        .complains("refused");
    engine
        .sh("ferry pull no-such-host.invalid/app")
        .exits(1)
        .complains("no-such-host.invalid");
    engine
        .sh(&format!("ferry push {address}/absent"))
        .exits(1)
        .complains("absent");
    engine.sh("ferry pull 'not a name'").exits(1).complains("not a name");
    engine.sh("ferry images -q 127.0.0.1*").succeeds().prints("");
}

#[test]
fn damaged_content_is_never_visible() {
    let Some((host, registry, one)) = harbour(&PLATFORMS[..1]) else {
        return;
    };
    let name = format!("{}/app", registry.address);
    one.sh(&format!("ferry tag app {name} && ferry push {name}")).succeeds();
    // One byte of the largest blob changes in the registry's own files.
    let find = format!(
        "find {} -path '*blobs*' -name data -size +100k | head -n 1",
        registry.data().display()
    );
    let blob = host.sh(&find).succeeds().text();
    host.sh(&format!(
        "cp {blob} kept && printf X | dd of={blob} bs=1 seek=9999 conv=notrunc 2>/dev/null"
    ))
    .succeeds();
    let two = second_engine(&host);
    two.sh(&format!("ferry pull {name}")).exits(1).complains("sha256:");
    two.sh("ferry images -aq").succeeds().prints("");
    let left = host
        .sh(&format!("find {} -type f -size +100k", two.data_root().display()))
        .succeeds()
        .text();
    assert_eq!(left, "", "a half pull left files");
    host.sh(&format!("cp kept {blob}")).succeeds();
    two.sh(&format!("ferry pull {name}")).succeeds();
    two.sh(&format!("ferry run --rm {name}")).succeeds().prints("shipped");
}

#[test]
fn layers_that_the_registry_has_are_not_sent_again() {
    let Some((_host, registry, engine)) = harbour(&PLATFORMS[..1]) else {
        return;
    };
    let (first, second) = (
        format!("{}/first", registry.address),
        format!("{}/second", registry.address),
    );
    engine
        .sh(&format!("ferry tag app {first} && ferry push {first}"))
        .succeeds();
    engine
        .sh(&format!("ferry tag app {second} && ferry push {second}"))
        .succeeds()
        .says("Mounted from");
}
