//! Where COPY and ADD put things, and as what.

use crate::house::{Entry, House, directory, file, hard_link, is_root, lines, link, tar};

/// Builds `lines` on a base with `below` and returns the last layer.
fn layer(house: &House, below: &[Entry], instructions: &str) -> Vec<String> {
    house.base("base", "linux/amd64", below, "{}");
    let outcome = house.build(&format!("FROM base\n{instructions}\n"));
    lines(&house.layer(&outcome, 0))
}

fn context() -> House {
    let house = House::new();
    house
        .file("a.txt", "A")
        .file("b.txt", "B")
        .file("dir/one", "1")
        .file("dir/sub/two", "2");
    house
}

#[test]
fn files_and_directories() {
    if !is_root() {
        return;
    }
    let house = context();
    let check = |instructions: &str, expect: &[&str]| {
        assert_eq!(
            layer(&house, &[directory("have")], instructions),
            expect,
            "{instructions}"
        );
    };
    check("COPY a.txt /x", &["f 644 0:0 x=A"]);
    check("COPY a.txt /x/", &["d 755 0:0 x", "f 644 0:0 x/a.txt=A"]);
    check("COPY a.txt /have", &["d 755 0:0 have", "f 644 0:0 have/a.txt=A"]);
    check(
        "COPY a.txt /p/q/x",
        &["d 755 0:0 p", "d 755 0:0 p/q", "f 644 0:0 p/q/x=A"],
    );
    check(
        "COPY a.txt b.txt /have",
        &["d 755 0:0 have", "f 644 0:0 have/a.txt=A", "f 644 0:0 have/b.txt=B"],
    );
    check(
        "COPY *.txt /x/",
        &["d 755 0:0 x", "f 644 0:0 x/a.txt=A", "f 644 0:0 x/b.txt=B"],
    );
    // A directory gives what it holds, not itself.
    let held = [
        "d 755 0:0 x",
        "f 644 0:0 x/one=1",
        "d 755 0:0 x/sub",
        "f 644 0:0 x/sub/two=2",
    ];
    check("COPY dir /x", &held);
    check("COPY dir/ /x/", &held);
    check("COPY di* /x", &held);
    check("COPY dir/s* /x", &["d 755 0:0 x", "f 644 0:0 x/two=2"]);
    check("COPY <<t /x/\nhi\nt", &["d 755 0:0 x", "f 644 0:0 x/t=hi\n"]);
    check("COPY <<t /x\nhi\nt", &["f 644 0:0 x=hi\n"]);
}

#[test]
fn owners_and_modes() {
    if !is_root() {
        return;
    }
    let house = context();
    let below = [
        file("etc/passwd", "me:x:10:11::/:\n"),
        file("etc/group", "us:x:12:\n"),
        directory("own").mode(0o700).owner(3, 4),
    ];
    let check = |instructions: &str, expect: &[&str]| {
        assert_eq!(layer(&house, &below, instructions), expect, "{instructions}");
    };
    check(
        "COPY --chown=me:us a.txt /x/",
        &["d 755 10:12 x", "f 644 10:12 x/a.txt=A"],
    );
    check("COPY --chown=5 a.txt /x", &["f 644 5:5 x=A"]);
    check("COPY --chmod=600 a.txt /x", &["f 600 0:0 x=A"]);
    check("COPY --chmod=u+s,go= a.txt /x", &["f 4600 0:0 x=A"]);
    check(
        "COPY --chmod=u=rwX,go=rX dir /x",
        &[
            "d 755 0:0 x",
            "f 644 0:0 x/one=1",
            "d 755 0:0 x/sub",
            "f 644 0:0 x/sub/two=2",
        ],
    );
    // Directories that are there keep what they are.
    check(
        "COPY --chown=5 a.txt /own/",
        &["d 700 3:4 own", "f 644 5:5 own/a.txt=A"],
    );
}

#[test]
fn destinations_follow_links_within_the_root() {
    if !is_root() {
        return;
    }
    let house = context();
    let below = [
        directory("usr"),
        directory("usr/bin"),
        link("bin", "usr/bin"),
        link("abs", "/usr/bin"),
        link("up", "../../../../usr"),
        link("loop", "loop"),
        link("dangling", "/new/place"),
        link("usr/bin/to-file", "/usr/file"),
        file("usr/file", "old"),
    ];
    let check = |instructions: &str, expect: &[&str]| {
        assert_eq!(layer(&house, &below, instructions), expect, "{instructions}");
    };
    let in_bin = ["d 755 0:0 usr", "d 755 0:0 usr/bin", "f 644 0:0 usr/bin/a.txt=A"];
    check("COPY a.txt /bin/", &in_bin);
    check("COPY a.txt /bin", &in_bin);
    check("COPY a.txt /abs/a.txt", &in_bin);
    check("COPY a.txt /up/bin/", &in_bin);
    check("COPY a.txt /bin/../bin/", &in_bin);
    check(
        "COPY a.txt /dangling/",
        &["d 755 0:0 new", "d 755 0:0 new/place", "f 644 0:0 new/place/a.txt=A"],
    );
    check(
        "COPY a.txt /usr/bin/to-file",
        &["d 755 0:0 usr", "f 644 0:0 usr/file=A"],
    );
    house.base("base", "linux/amd64", &below, "{}");
    let error = house.build("FROM base\nCOPY a.txt /loop/x\n");
    assert!(error.error().to_string().contains("too many levels of symbolic links"));
    let error = house.build("FROM base\nCOPY a.txt /usr/file/x\n");
    assert!(
        error
            .error()
            .to_string()
            .contains("cannot copy to non-directory: /usr/file")
    );
}

#[test]
fn sources_that_are_links_are_followed_within_the_context() {
    if !is_root() {
        return;
    }
    let house = context();
    std::os::unix::fs::symlink("/etc/passwd", house.context().join("out")).unwrap();
    std::os::unix::fs::symlink("../../..", house.context().join("dir/up")).unwrap();
    std::os::unix::fs::symlink("dir/one", house.context().join("to-file")).unwrap();
    std::os::unix::fs::symlink("dir", house.context().join("to-dir")).unwrap();
    let below = [directory("have")];
    assert_eq!(layer(&house, &below, "COPY to-file /x"), ["f 644 0:0 x=1"]);
    let copied = layer(&house, &below, "COPY to-dir /x");
    assert!(copied.contains(&"l 777 0:0 x/up=../../..".to_owned()), "{copied:?}");
    let error = house.build("FROM scratch\nCOPY out /x\n");
    assert!(error.error().to_string().contains("\"/out\": not found"));
    // `dir/up` is the context's own root.
    assert_eq!(layer(&house, &below, "COPY dir/up/a.txt /x"), ["f 644 0:0 x=A"]);
}

#[test]
fn later_sources_meet_earlier_ones() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.file("one/same", "1").file("one/only", "1").file("two/same", "2");
    house.file("two/d/x", "2").file("three/d", "3");
    assert_eq!(
        layer(&house, &[], "COPY one two /x/"),
        [
            "d 755 0:0 x",
            "d 755 0:0 x/d",
            "f 644 0:0 x/d/x=2",
            "f 644 0:0 x/only=1",
            "f 644 0:0 x/same=2"
        ]
    );
    let error = house.build("FROM scratch\nCOPY two three /x/\n");
    assert!(
        error
            .error()
            .to_string()
            .contains("cannot replace to directory /x/d with file")
    );
    let error = house.build("FROM scratch\nCOPY three two /x/\n");
    assert!(error.error().to_string().contains("cannot copy to non-directory: /x/d"));
}

#[test]
fn a_link_that_was_just_copied_leads_nowhere_else() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.file("two/x/passwd", "evil");
    std::fs::create_dir(house.context().join("one")).unwrap();
    std::os::unix::fs::symlink("/etc", house.context().join("one/x")).unwrap();
    let error = house.build("FROM scratch\nCOPY one two /d/\n");
    assert!(error.error().to_string().contains("cannot copy to non-directory: /d/x"));
}

#[test]
fn other_stages_give_their_owners_and_modes() {
    if !is_root() {
        return;
    }
    let house = House::new();
    house.base(
        "base",
        "linux/amd64",
        &[
            directory("d").owner(1, 2),
            file("d/f", "x").owner(3, 4).mode(0o600),
            link("l", "d"),
        ],
        "{}",
    );
    let outcome = house.build("FROM base AS a\nRUN write /d/g y\nFROM scratch\nCOPY --from=a /l/ /x/\n");
    assert_eq!(
        lines(&house.layer(&outcome, 0)),
        ["d 755 0:0 x", "f 600 3:4 x/f=x", "f 644 0:0 x/g=y"]
    );
    let outcome = house.build("FROM base AS a\nRUN rm /d/f\nRUN write /d/g y\nFROM scratch\nCOPY --from=a / /\n");
    let copied = lines(&house.layer(&outcome, 0));
    assert!(copied.contains(&"f 644 0:0 d/g=y".to_owned()), "{copied:?}");
    assert!(!copied.iter().any(|line| line.contains("d/f")), "{copied:?}");
}

#[test]
fn hard_links_of_stages_and_archives_stay() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let entries = [
        directory("d"),
        file("d/a", "x"),
        hard_link("d/b", "d/a"),
        file("d/c", "x"),
    ];
    house.base("base", "linux/amd64", &entries, "{}");
    let expect = ["d 755 0:0 y", "f 644 0:0 y/a=x", "h 644 0:0 y/b=y/a", "f 644 0:0 y/c=x"];
    let outcome = house.build("FROM scratch\nCOPY --from=base /d /y\n");
    assert_eq!(lines(&house.layer(&outcome, 0)), expect);
    std::fs::write(house.context().join("a.tar"), tar(&entries)).unwrap();
    let outcome = house.build("FROM scratch\nADD a.tar /\n");
    assert_eq!(
        lines(&house.layer(&outcome, 0)),
        expect.map(|line| line.replace('y', "d"))
    );
}

#[test]
fn exclusions_and_parents() {
    if !is_root() {
        return;
    }
    let house = context();
    let check = |instructions: &str, expect: &[&str]| {
        assert_eq!(layer(&house, &[], instructions), expect, "{instructions}");
    };
    check("COPY --exclude=sub dir /x", &["d 755 0:0 x", "f 644 0:0 x/one=1"]);
    check("COPY --exclude=b* *.txt /x/", &["d 755 0:0 x", "f 644 0:0 x/a.txt=A"]);
    check(
        "COPY --parents dir/sub/two /x",
        &[
            "d 755 0:0 x",
            "d 755 0:0 x/dir",
            "d 755 0:0 x/dir/sub",
            "f 644 0:0 x/dir/sub/two=2",
        ],
    );
    check(
        "COPY --parents dir/./sub/two /x",
        &["d 755 0:0 x", "d 755 0:0 x/sub", "f 644 0:0 x/sub/two=2"],
    );
    check(
        "COPY --parents **/two /x/",
        &[
            "d 755 0:0 x",
            "d 755 0:0 x/dir",
            "d 755 0:0 x/dir/sub",
            "f 644 0:0 x/dir/sub/two=2",
        ],
    );
}

#[test]
fn ignored_files_are_not_there() {
    if !is_root() {
        return;
    }
    let house = context();
    house.file(".dockerignore", "dir\n!dir/sub/two\n*.txt\n.dockerignore\n");
    assert_eq!(
        layer(&house, &[], "COPY . /x"),
        [
            "d 755 0:0 x",
            "d 755 0:0 x/dir",
            "d 755 0:0 x/dir/sub",
            "f 644 0:0 x/dir/sub/two=2"
        ]
    );
}

#[test]
fn archives_are_unpacked_by_add_alone() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let archive = tar(&[
        directory("d").owner(1, 1),
        file("d/f", "x").owner(2, 3).mode(0o4755),
        link("l", "d/f"),
    ]);
    std::fs::write(house.context().join("a.tar"), &archive).unwrap();
    let gzip = house.context().join("a.tgz");
    std::fs::write(&gzip, compressed(&archive)).unwrap();
    house.file("plain.tar", "no archive");
    let unpacked = [
        "d 755 0:0 x",
        "d 755 1:1 x/d",
        "f 4755 2:3 x/d/f=x",
        "l 777 0:0 x/l=d/f",
    ];
    assert_eq!(layer(&house, &[], "ADD a.tar /x"), unpacked);
    assert_eq!(layer(&house, &[], "ADD a.tgz /x/"), unpacked);
    let plain = layer(&house, &[], "ADD plain.tar /x/");
    assert_eq!(plain, ["d 755 0:0 x", "f 644 0:0 x/plain.tar=no archive"]);
    let plain = layer(&house, &[], "ADD --unpack=false plain.tar /x");
    assert_eq!(plain, ["f 644 0:0 x=no archive"]);
    let owned = layer(&house, &[], "ADD --chown=9 a.tar /");
    assert_eq!(owned, ["d 755 9:9 d", "f 4755 9:9 d/f=x", "l 777 9:9 l=d/f"]);
}

/// gzip, by the store's own compressor.
fn compressed(tar: &[u8]) -> Vec<u8> {
    let house = House::new();
    let layer = house
        .store
        .layers()
        .unpack(tar, None, &ferry_store::Limits::default())
        .unwrap();
    let blob = house.store.layers().compress(&layer).unwrap();
    house
        .store
        .content()
        .read(&blob.digest().try_into().unwrap(), 1 << 20)
        .unwrap()
}

#[test]
fn hostile_archives_are_refused() {
    if !is_root() {
        return;
    }
    let house = House::new();
    let outside = house.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let archive = tar(&[link("out", outside.to_str().unwrap()), file("out/evil", "x")]);
    std::fs::write(house.context().join("a.tar"), archive).unwrap();
    let _ = house.build("FROM scratch\nADD a.tar /\n");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    let temporary = house.store.root().join("build/tmp");
    assert!(!temporary.exists() || std::fs::read_dir(temporary).unwrap().next().is_none());
}
