//! `save`, `load`, `import`: images as files, with their digests.

use ferry_tests::{Engine, Host, PLATFORMS, Setup, has_program};

/// Two engines on one host, the first with a small image `app` for `platforms` CPUs.
fn two_engines(platforms: usize) -> Option<(Engine, Engine)> {
    let host = Host::new()?;
    let one = Engine::on(&host);
    one.make_busybox_for(&PLATFORMS[..platforms])?;
    one.file(
        "app/Dockerfile",
        "FROM busybox\nCOPY note /note\nRUN cat /note /note >/twice\nLABEL a=b\n",
    );
    one.file("app/note", "n\n");
    let names: Vec<&str> = PLATFORMS[..platforms].iter().map(|platform| platform.name).collect();
    one.sh(&format!("ferry build -q --platform {} -t app app", names.join(",")))
        .succeeds();
    let two = Engine::set_up(
        &host,
        Setup {
            name: "two",
            ..Setup::default()
        },
    );
    Some((one, two))
}

#[test]
fn what_was_saved_is_loaded_with_the_same_digest() {
    let Some((one, two)) = two_engines(1) else { return };
    one.sh("ferry save -o app.tar app").succeeds();
    two.sh("ferry load -i app.tar").succeeds().says("app:latest");
    assert_eq!(two.digest("app"), one.digest("app"));
    two.sh("ferry run --rm app cat /twice").succeeds().prints("n\nn");
    // Saving is reproducible, and pipes work too.
    one.sh("ferry save app | cmp - app.tar").succeeds();
    two.sh("ferry rmi app").succeeds();
    two.sh("gzip -c app.tar | ferry load").succeeds();
    assert_eq!(two.digest("app"), one.digest("app"));
}

#[test]
fn several_platforms_travel_together() {
    let Some((one, two)) = two_engines(3) else { return };
    one.sh("ferry tag app other:v1 && ferry save -o all.tar app other:v1")
        .succeeds();
    two.sh("ferry load <all.tar")
        .succeeds()
        .says("app:latest")
        .says("other:v1");
    assert_eq!(two.digest("app"), one.digest("app"));
    assert_eq!(two.digest("other:v1"), one.digest("app"));
    for platform in &PLATFORMS[..3] {
        two.sh(&format!("ferry run --rm --platform {} app uname -m", platform.name))
            .succeeds()
            .prints(platform.machine);
    }
}

#[test]
fn archives_of_other_tools_are_loaded() {
    let Some((one, two)) = two_engines(1) else { return };
    if !has_program("skopeo") {
        return;
    }
    one.sh("ferry save -o app.tar app").succeeds();
    for (format, name) in [("docker-archive", "app:docker"), ("oci-archive", "app:oci")] {
        let policy = "--insecure-policy copy --quiet";
        one.sh(&format!(
            "skopeo {policy} docker-archive:app.tar {format}:other.tar:{name}"
        ))
        .succeeds();
        two.sh("ferry load -i other.tar").succeeds();
        two.sh("ferry images --format '{{.Repository}}:{{.Tag}}'")
            .succeeds()
            .says(name.rsplit('/').next().unwrap_or(name));
        two.sh(&format!("ferry run --rm {name} cat /twice"))
            .succeeds()
            .prints("n\nn");
        one.sh("rm other.tar").succeeds();
    }
}

#[test]
fn a_tar_of_files_becomes_an_image() {
    let Some(engine) = Engine::start() else { return };
    let Some(tar) = engine.busybox_tar(if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    }) else {
        return;
    };
    let tar = tar.display();
    engine.sh(&format!("ferry import {tar} raw:1")).succeeds();
    engine
        .sh("ferry run --rm raw:1 /bin/echo imported")
        .succeeds()
        .prints("imported");
    engine.sh(&format!("cat {tar} | ferry import - piped")).succeeds();
    engine.sh("ferry run --rm piped /bin/true").succeeds();
}

#[test]
fn what_is_no_archive_is_refused_whole() {
    let Some(engine) = Engine::with_busybox() else { return };
    let before = engine.sh("ferry images -a --no-trunc").succeeds().text();
    engine.file("noise", "this is no archive at all, whatever its name says".repeat(100));
    engine.sh("ferry load -i noise").exits(1);
    engine.sh("ferry load -i absent.tar").exits(1).complains("absent.tar");
    engine.sh("ferry save busybox | head -c 300000 >half.tar").succeeds();
    engine.sh("ferry load -i half.tar").exits(1);
    // A blob whose bytes are not those that its name says.
    engine.sh("ferry save -o whole.tar busybox && mkdir x && tar -xf whole.tar -C x && for f in $(find x/blobs -type f -size +100k); do printf 'x' | dd of=$f bs=1 seek=5000 conv=notrunc 2>/dev/null; done && tar -cf changed.tar -C x .").succeeds();
    engine.sh("ferry rmi busybox").succeeds();
    let damaged = engine.sh("ferry load -i changed.tar").exits(1).errors();
    assert!(
        damaged.contains("digest") || damaged.contains("corrupt") || damaged.contains("sha256"),
        "{damaged}"
    );
    engine.sh("ferry images -aq").succeeds().prints("");
    engine.sh("ferry load -i whole.tar").succeeds();
    engine.sh("ferry images -a --no-trunc").succeeds().prints(&before);
    engine.sh("ferry save absent -o x.tar").exits(1).complains("absent");
    engine.host().sh("test ! -e x.tar").succeeds();
}

#[test]
fn hostile_layers_leave_the_host_alone() {
    let Some(engine) = Engine::start() else { return };
    if !has_program("python3") {
        return;
    }
    engine.file("victim/file", "untouched");
    engine.file(
        "hostile.py",
        r#"
import io, sys, tarfile
victim = sys.argv[1]
def entry(name, kind=tarfile.REGTYPE, link="", data=b"owned", pax=None):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data) if kind == tarfile.REGTYPE else 0
    info.pax_headers = pax or {}
    return info, io.BytesIO(data)
up = "../" * 30 + victim[1:]
cases = {
    "dotdot": [entry(up + "/file")],
    "absolute": [entry(victim + "/file")],
    "link-then-file": [entry("way", tarfile.SYMTYPE, victim), entry("way/file")],
    "hard-link-out": [entry("hard", tarfile.LNKTYPE, up + "/file"), entry("hard")],
    "hard-link-through": [entry("way", tarfile.SYMTYPE, victim), entry("hard", tarfile.LNKTYPE, "way/file"), entry("hard")],
    "whiteout-through": [entry("way", tarfile.SYMTYPE, victim), entry("way/.wh.file")],
    "opaque-through": [entry("way", tarfile.SYMTYPE, victim), entry("way/.wh..wh..opq")],
    "whiteout-dotdot": [entry("a/.wh...")],
    "pax-path": [entry("harmless", pax={"path": up + "/file"})],
    "pax-link": [entry("way", tarfile.SYMTYPE, "x", pax={"linkpath": victim}), entry("way/file")],
}
for name, entries in cases.items():
    with tarfile.open(f"hostile-{name}.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, data if info.isreg() else None)
"#,
    );
    engine.sh("python3 hostile.py $PWD/victim").succeeds();
    let names = engine.host().sh("ls hostile-*.tar").succeeds().text();
    assert_eq!(names.lines().count(), 10);
    for name in names.lines() {
        // Refused or kept inside: either is right, as long as the host's file is what it was.
        engine.sh(&format!("ferry import {name} hostile; true")).succeeds();
        engine
            .host()
            .sh("cat victim/file && stat -c %h victim/file")
            .succeeds()
            .prints("untouched1");
    }
    engine.host().sh("ls victim").succeeds().prints("file");
}
