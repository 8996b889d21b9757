//! What RUN steps are given, and what they leave.

use ferry_build::{MountSource, StepNetwork};

use crate::house::{House, directory, file, is_root, lines};

#[test]
fn steps_get_what_the_stage_says() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.base(
        "base",
        "linux/amd64",
        &[file("a", "")],
        r#"{"config":{"Env":["A=1"],"User":"u"}}"#,
    );
    let mut request = house.request(&["linux/amd64"]);
    request.build_args.insert("https_proxy".to_owned(), "p".to_owned());
    let outcome = house.build_as(
        "FROM base\nARG B=2\nWORKDIR /w\nRUN --network=host [\"print\", \"print hello\"]\n",
        request,
    );
    assert_eq!(outcome.logs(), "hello\n");
    let step = house.runner.steps.lock().unwrap().pop().unwrap();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(step.env, ["A=1", "B=2", path, "https_proxy=p"]);
    assert_eq!((step.user.as_str(), step.working_dir.as_str()), ("u", "/w"));
    assert_eq!(step.network, StepNetwork::Host);
    assert_eq!(step.root.lower.len(), 2);
}

#[test]
fn deletions_and_changes_become_layers() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.base(
        "base",
        "linux/amd64",
        &[directory("d"), file("d/a", "1"), file("d/b", "2")],
        "{}",
    );
    let outcome = house.build("FROM base\nRUN rm /d/a\nRUN append /d/b 3\n");
    assert_eq!(lines(&house.layer(&outcome, 0)), ["d 755 0:0 d", "f 644 0:0 d/b=23"]);
    let removed = house.layer(&outcome, 1);
    assert_eq!(removed.last().unwrap().path, "d/.wh.a");
}

#[test]
fn mount_points_do_not_stay() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.base("base", "linux/amd64", &[directory("etc"), file("etc/own", "")], "{}");
    // What a runner makes to mount upon: empty files and directories.
    let outcome = house.build(
        "FROM base\nRUN --mount=type=tmpfs,target=/cache/x mkdir /proc;mkdir /dev;mkdir /cache/x;touch /etc/hosts;write /kept 1\n",
    );
    assert_eq!(lines(&house.layer(&outcome, 0)), ["f 644 0:0 kept=1"]);
}

#[test]
fn mounts_reach_the_runner() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.file("src/a", "1").file("other", "1");
    let text = "FROM scratch AS tools\nRUN write /t 1\nFROM scratch\nRUN --mount=target=/src,source=src --mount=from=tools,target=/t --mount=target=/w,source=src,rw --mount=type=cache,target=/c --mount=type=tmpfs,target=/tmp,size=1m write /out 1\n";
    let first = house.build(text);
    assert!(first.result.is_ok(), "{}", first.error());
    let step = house.runner.steps.lock().unwrap().pop().unwrap();
    let shown: Vec<String> = step
        .mounts
        .iter()
        .map(|mount| match &mount.source {
            MountSource::Host { path, access } => {
                let place = if path.to_string_lossy().contains("/layers/") {
                    "layer"
                } else {
                    "folder"
                };
                format!("{} {place} {access:?}", mount.target)
            }
            MountSource::Tmpfs { size_bytes } => format!("{} tmpfs:{size_bytes:?}", mount.target),
            MountSource::Secret { .. } => format!("{} secret", mount.target),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "/src layer ReadOnly",
            "/t layer ReadOnly",
            "/w folder ReadWrite",
            "/c folder ReadWrite",
            "/tmp tmpfs:Some(1048576)"
        ]
    );
    // Only what is mounted counts.
    house.file("other", "2");
    assert_eq!(house.build(text).runs, 0);
    house.file("src/a", "2");
    assert_eq!(house.build(text).runs, 1);
}

#[test]
fn a_script_is_mounted_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let outcome = house.build("FROM scratch\nRUN <<EOF\nwrite /a 1\nwrite /b 2\nEOF\n");
    assert_eq!(lines(&house.layer(&outcome, 0)), ["f 644 0:0 a=1", "f 644 0:0 b=2"]);
    let temporary = house.store.root().join("build/tmp");
    assert!(!temporary.exists() || std::fs::read_dir(temporary).unwrap().next().is_none());
}
