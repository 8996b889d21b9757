//! `ferry cp`: files into and out of containers, running or not, and what hostile ones do meanwhile.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use ferry_tests::{Engine, eventually};

/// What a container that stays up runs.
const IDLE: &str = "sleep 3000";

#[test]
fn files_and_folders_go_both_ways_whatever_the_container_does() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.file("host/file", "from here\n");
    engine.file("host/dir/deep/leaf", "leaf\n");
    for (name, make) in [
        ("made", "ferry create --name made busybox true".to_owned()),
        ("up", format!("ferry run -d --name up busybox {IDLE}")),
        ("ended", "ferry run --name ended busybox true".to_owned()),
        (
            "frozen",
            format!("ferry run -d --name frozen busybox {IDLE} && ferry pause frozen"),
        ),
    ] {
        engine.sh(&make).succeeds();
        // A file to a folder, to a new name, over a file; a folder to a folder, to a new name, its content alone.
        engine
            .sh(&format!("ferry cp host/file {name}:/tmp"))
            .succeeds()
            .prints("");
        engine.sh(&format!("ferry cp host/file {name}:/tmp/renamed")).succeeds();
        engine
            .sh(&format!("ferry cp host/dir/deep/leaf {name}:/tmp/renamed"))
            .succeeds();
        engine.sh(&format!("ferry cp host/dir {name}:/tmp")).succeeds();
        engine.sh(&format!("ferry cp host/dir {name}:/tmp/new")).succeeds();
        engine.sh(&format!("ferry cp host/dir/. {name}:/made")).succeeds();
        engine.sh(&format!("ferry cp host/dir/. {name}:/tmp/new")).succeeds();
        let read = |path: &str| {
            let tar = engine.sh(&format!("ferry cp {name}:{path} - | tar -xO")).succeeds();
            tar.text()
        };
        assert_eq!(read("/tmp/file"), "from here", "{name}");
        assert_eq!(read("/tmp/renamed"), "leaf", "{name}");
        assert_eq!(read("/tmp/dir/deep/leaf"), "leaf", "{name}");
        assert_eq!(read("/tmp/new/deep/leaf"), "leaf", "{name}");
        assert_eq!(read("/made/deep/leaf"), "leaf", "{name}");
        let out = format!("out-{name}");
        engine
            .sh(&format!("mkdir {out} && ferry cp {name}:/tmp/file {out}"))
            .succeeds();
        engine
            .sh(&format!(
                "ferry cp {name}:/tmp/file {out}/other && ferry cp {name}:/tmp/renamed {out}/other"
            ))
            .succeeds();
        engine
            .sh(&format!(
                "ferry cp {name}:/tmp/new {out} && ferry cp {name}:/tmp/new {out}/copy"
            ))
            .succeeds();
        engine
            .sh(&format!("mkdir {out}/flat && ferry cp {name}:/tmp/new/. {out}/flat"))
            .succeeds();
        engine
            .sh(&format!(
                "cd {out} && cat file other new/deep/leaf copy/deep/leaf flat/deep/leaf"
            ))
            .prints("from here\nleaf\nleaf\nleaf\nleaf");
    }
    engine.sh("ferry start -a made").succeeds();
    engine.sh("ferry cp made:/tmp/renamed - | tar -xO").prints("leaf");
    engine.sh("ferry rm -f up frozen").succeeds();
}

#[test]
fn what_cannot_be_copied_is_said_in_dockers_words() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh(&format!("ferry run -d --name box busybox {IDLE}")).succeeds();
    engine.file("file", "x");
    engine.file("dir/in", "x");
    engine
        .sh("ferry exec box sh -c 'mkdir /d /d/file; echo x >/f; ln -s /d /to-d; ln -s nowhere /dangling'")
        .succeeds();
    for (line, words) in [
        ("ferry cp box:/none .", "Could not find the file /none in container box"),
        ("ferry cp nobody:/etc .", "No such container: nobody"),
        ("ferry cp file nobody:/etc", "No such container: nobody"),
        (
            "ferry cp file box:/none/x",
            "Could not find the file /none in container box",
        ),
        ("ferry cp file box:/none/", "no such directory"),
        ("ferry cp dir box:/f", "cannot copy directory"),
        (
            "ferry cp file box:/d",
            "cannot overwrite directory \"/d/file\" with non-directory",
        ),
        ("ferry cp none box:/d", "No such file or directory"),
        ("ferry cp box:/etc file", "cannot copy directory"),
        ("ferry cp box:/f none/x", "invalid output path: directory"),
        (
            "ferry cp box:/f /dev/null",
            "must be a directory or a regular file: got a device",
        ),
        (
            "ferry cp file box:/dev/null",
            "must be a directory or a regular file: got a device",
        ),
        ("ferry cp a:/x b:/y", "copying between containers is not supported"),
        ("ferry cp a b", "must specify at least one container source"),
        ("ferry cp '' b", "source can not be empty"),
        ("ferry cp - box:/f </dev/null", "must be a directory"),
    ] {
        engine.sh(line).exits(1).complains(words);
    }
    // Through a link: the directory behind it. By name alone: the link itself.
    engine
        .sh("ferry cp dir box:/to-d && ferry exec box cat /d/dir/in")
        .succeeds()
        .prints("x");
    engine
        .sh("ferry cp box:/to-d link && readlink link")
        .succeeds()
        .prints("/d");
    engine
        .sh("ferry cp -L box:/to-d followed && ls followed")
        .succeeds()
        .prints("dir\nfile");
    engine
        .sh("ln -s file alias; ferry cp -L alias box:/tmp && ferry exec box cat /tmp/alias")
        .succeeds()
        .prints("x");
    engine
        .sh("ferry cp alias box:/alias && ferry exec box readlink /alias")
        .succeeds()
        .prints("file");
    engine.sh("ferry rm -f box").succeeds();
}

#[test]
fn owners_modes_times_and_kinds_survive() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh(&format!("ferry run -d --name box -u 7:8 busybox {IDLE}"))
        .succeeds();
    let setup = "mkdir /t && cd /t && echo x >file && chown 5:6 file && chmod 4711 file && ln file hard && \
         ln -s file soft && mkfifo pipe && mknod dev c 1 7 && touch -d '2001-02-03 04:05:06' file && \
         dd if=/dev/zero of=sparse bs=1 count=1 seek=5000000 2>/dev/null && touch .wh.x";
    engine.sh(&format!("ferry exec -u 0 box sh -c \"{setup}\"")).succeeds();
    engine
        .sh("ferry cp box:/t - | tar -tv --numeric-owner >listing; ferry cp box:/t - >t.tar")
        .succeeds();
    let listing = engine.sh("cat listing").text();
    for part in [
        "-rws--x--x 5/6",
        "t/hard link to t/file",
        "t/soft -> file",
        "prw",
        "1,7",
        "t/.wh.x",
        "5000001",
    ] {
        assert!(listing.contains(part), "{part} in {listing}");
    }
    // Back into another place: as the archive has it, or of the container's user.
    engine
        .sh("ferry exec -u 0 box mkdir /copy /own && ferry cp - box:/copy <t.tar")
        .succeeds();
    engine
        .sh("ferry exec box stat -c '%a %u:%g %Y %h' /copy/t/file && ferry exec box stat -c '%t:%T %F' /copy/t/dev")
        .prints("4711 5:6 981173106 2\n1:7 character special file");
    engine
        .sh("ferry cp -a - box:/own <t.tar && ferry exec box stat -c %u:%g /own/t/file /own/t")
        .prints("7:8\n7:8");
    engine.sh("gzip -k t.tar && ferry cp - box:/own <t.tar.gz").succeeds();
    // Here it belongs to whoever copies.
    engine.sh("ferry cp box:/t here").succeeds();
    let copied = engine.shell().sh("stat -c '%u %a %Y' here/file").succeeds().text();
    assert_eq!(copied, "0 4711 981173106");
    engine.sh("ferry rm -f box").succeeds();
}

#[test]
fn mounts_are_seen_and_read_only_ones_respected() {
    let Some(engine) = Engine::with_busybox() else { return };
    let folder = engine.file("bound/old", "old\n");
    let folder = folder.parent().expect("a folder").display().to_string();
    engine.file("new", "new\n");
    let options = format!("-v {folder}:/rw -v {folder}:/ro:ro --tmpfs /scratch");
    engine
        .sh(&format!("ferry run -d --name up {options} busybox {IDLE}"))
        .succeeds();
    engine
        .sh(&format!("ferry create --name idle {options} busybox true"))
        .succeeds();
    engine
        .sh(&format!(
            "ferry run -d --name hard --read-only {options} busybox {IDLE}"
        ))
        .succeeds();
    engine
        .sh(&format!(
            "ferry create --name hardidle --read-only {options} busybox true"
        ))
        .succeeds();
    for name in ["up", "idle", "hard", "hardidle"] {
        engine.sh(&format!("ferry cp {name}:/rw/old - | tar -xO")).prints("old");
        engine.sh(&format!("ferry cp {name}:/ro/old - | tar -xO")).prints("old");
        engine
            .sh(&format!("ferry cp new {name}:/rw/{name} && cat bound/{name}"))
            .prints("new");
        engine
            .sh(&format!("ferry cp new {name}:/ro/x"))
            .exits(1)
            .complains("mounted volume is marked read-only");
    }
    engine
        .sh("ferry cp new up:/scratch/x && ferry exec up cat /scratch/x")
        .prints("new");
    engine
        .sh("ferry cp new hard:/scratch/x && ferry exec hard cat /scratch/x")
        .prints("new");
    for name in ["hard", "hardidle"] {
        engine
            .sh(&format!("ferry cp new {name}:/etc/x"))
            .exits(1)
            .complains("container rootfs is marked read-only");
    }
    engine.sh("ferry rm -f up idle hard hardidle").succeeds();
}

#[test]
fn no_link_leads_out_of_a_container() {
    let Some(engine) = Engine::with_busybox() else { return };
    let outside = engine.file("outside/secret", "secret");
    let outside = outside.parent().expect("a folder").display().to_string();
    engine.sh(&format!("ferry run -d --name box busybox {IDLE}")).succeeds();
    let links =
        format!("ln -s {outside} /abs; ln -s ../../../../../../../..{outside} /rel; ln -s /proc/1/root/ /magic");
    engine.sh(&format!("ferry exec box sh -c '{links}'")).succeeds();
    engine.file("mine", "mine");
    for path in ["/abs/secret", "/rel/secret", "/abs/", "/magic/etc/passwd"] {
        engine.sh(&format!("ferry cp box:{path} -")).exits(1);
    }
    for path in ["/abs/secret", "/rel/", "/abs"] {
        engine.sh(&format!("ferry cp mine box:{path}")).exits(1);
    }
    // A container that swaps a folder for a link all the time, and archives that go through it.
    let swap = format!(
        "mkdir -p /race/a {outside}; ln -s {outside} /race/link; while :; do mv -T /race/a /race/b; mv -T /race/link /race/a; \
         mv -T /race/a /race/link; mv -T /race/b /race/a; done"
    );
    let swapping = format!("ferry run -d --name racer busybox sh -c '{swap}'");
    engine.sh(&swapping).succeeds();
    eventually("the race is on", || {
        (engine.sh("ferry exec racer test -e /race").code() == 0).then_some(())
    });
    engine.sh("mkdir -p pack/a/sub && echo mine >pack/a/file && echo mine >pack/a/sub/file && mkfifo -m 0600 pack/a/pipe && tar -C pack -cf pack.tar a").succeeds();
    for _ in 0..20 {
        let _ = engine.sh("ferry cp - racer:/race <pack.tar");
        let _ = engine.sh("ferry cp racer:/race/a - >/dev/null");
        let _ = engine.sh("ferry cp mine racer:/race/a/mine");
    }
    let left = std::fs::read_dir(&outside).expect("a folder").count();
    assert_eq!(left, 1, "something was written outside");
    let secret = std::fs::metadata(format!("{outside}/secret")).expect("a file");
    assert_eq!(
        (secret.len(), secret.permissions().mode() & 0o777, secret.nlink()),
        (6, 0o644, 1)
    );
    engine.sh("ferry rm -f box racer").succeeds();
}

#[test]
fn a_large_file_takes_no_memory() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine.sh(&format!("ferry run -d --name box busybox {IDLE}")).succeeds();
    engine.sh("truncate -s 200M big && echo end >>big").succeeds();
    let before = engine.process().peak_memory_kb();
    engine
        .sh("ferry cp big box:/big && ferry cp box:/big - | tar -xO | tail -c 4")
        .succeeds()
        .prints("end");
    let grown = engine.process().peak_memory_kb() - before;
    assert!(grown < 50_000, "the engine grew by {grown} kB");
    engine.sh("ferry rm -f box").succeeds();
}
