//! The same input gives the same digest: on another root, day, under another umask, with and without cache.

use ferry_build::CacheUse;

use crate::house::{Entry, House, directory, file, is_root, tar};

const TEXT: &str = "FROM base AS a\nWORKDIR /w\nCOPY . .\nADD t.tar /t\nRUN write /made 1;rm /base\nFROM base\nCOPY --from=a --chown=5:6 /w /made /x/\nRUN write /y 2\n";
const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

fn house() -> House {
    let house = House::new();
    for platform in PLATFORMS {
        house.base("base", platform, &[file("base", platform), directory("etc")], "{}");
    }
    house
        .file("b/c", "1")
        .file("a", "2")
        .file("z.sh", "3")
        .file("t.tar", "");
    std::fs::write(house.context().join("t.tar"), tar(&[file("in", "tar").owner(7, 8)])).unwrap();
    house
}

fn digest(house: &House) -> String {
    house.build_as(TEXT, house.request(&PLATFORMS)).digest()
}

#[test]
fn two_stores_give_one_digest() {
    if !is_root() {
        return;
    }
    let (one, two) = (house(), house());
    let first = digest(&one);
    assert_eq!(first, digest(&two));
    let mut request = two.request(&PLATFORMS);
    request.cache = CacheUse::None;
    assert_eq!(first, two.build_as(TEXT, request).digest());
}

/// Pins the whole format: a change of any byte of what a build writes fails here. Whoever changes it
/// on purpose says so in the commit, since every cache and every digest of every user changes with it.
#[test]
fn golden_digest() {
    if !is_root() {
        return;
    }
    assert_eq!(
        digest(&house()),
        "sha256:10ed376112dc8be2bc14821293d53a37950415e730694b2c7a7fe1bf92b99b92"
    );
}

#[test]
fn umask_and_inode_order_do_not_show() {
    if !is_root() {
        return;
    }
    let one = house();
    let first = digest(&one);
    let old = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let two = House::new();
    for platform in PLATFORMS.iter().rev() {
        two.base("base", platform, &[file("base", platform), directory("etc")], "{}");
    }
    // Files in another order; those that the test writes have modes of their own.
    two.file("t.tar", "").file("z.sh", "3").file("a", "2").file("b/c", "1");
    std::fs::write(two.context().join("t.tar"), tar(&[file("in", "tar").owner(7, 8)])).unwrap();
    let second = digest(&two);
    rustix::process::umask(old);
    assert_eq!(first, second);
}

#[test]
fn times_are_the_epochs() {
    if !is_root() {
        return;
    }
    let house = house();
    let times = |entries: &[Entry]| {
        let mut times: Vec<u64> = entries.iter().map(|entry| entry.mtime).collect();
        times.sort_unstable();
        times.dedup();
        times
    };
    let outcome = house.build(TEXT);
    let epoch = ferry_build::DEFAULT_EPOCH as u64;
    assert_eq!(times(&house.layer(&outcome, 0)), [epoch]);
    assert_eq!(times(&house.layer(&outcome, 1)), [epoch]);
    let mut request = house.request(&["linux/amd64"]);
    request
        .build_args
        .insert("SOURCE_DATE_EPOCH".to_owned(), "1700000000".to_owned());
    let later = house.build_as(TEXT, request);
    assert_eq!(times(&house.layer(&later, 0)), [1_700_000_000]);
    assert_eq!(later.config().created.as_deref(), Some("2023-11-14T22:13:20Z"));
    assert_ne!(outcome.digest(), later.digest());
}
