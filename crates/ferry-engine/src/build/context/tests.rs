//! What one reception leaves for the next, and what it refuses.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use super::*;

const OLD: i64 = 1_000;

fn path(text: &str) -> ContextPath {
    text.parse().expect("a test's path")
}

fn entry(text: &str, kind: EntryKind, mode: u32, modified_ns: i64) -> Entry {
    Entry {
        path: path(text),
        kind,
        mode,
        modified_ns,
    }
}

fn file(text: &str, size_bytes: u64) -> Entry {
    entry(text, EntryKind::File { size_bytes }, 0o644, OLD)
}

fn directory(text: &str) -> Entry {
    entry(text, EntryKind::Directory, 0o755, OLD)
}

fn symlink(text: &str, target: &str) -> Entry {
    let target = target.to_owned();
    entry(text, EntryKind::SymbolicLink { target }, 0o777, OLD)
}

/// Receives `listing`, sending `content` for each file that is asked for; returns the tree and what was asked for.
fn receive(
    mut receiving: Receiving,
    listing: &[Entry],
    content: &[u8],
) -> Result<(Arc<Tree>, Vec<String>), ContextError> {
    let mut asked = Vec::new();
    for (index, entry) in (0..).zip(listing) {
        if receiving.entry(entry.clone())? == Need::Content {
            asked.push(entry.path.to_string());
            if !content.is_empty() {
                receiving.content(index, content)?;
            }
            receiving.content_end(index)?;
        }
    }
    assert!(!receiving.awaits_content());
    Ok((receiving.finish()?, asked))
}

fn contexts() -> (tempfile::TempDir, Contexts) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let contexts = Contexts::open(root.path()).expect("contexts");
    (root, contexts)
}

fn key() -> ContextKey {
    ContextKey::new("client", "context")
}

#[test]
fn only_what_changed_is_asked_for_again() {
    let (_root, contexts) = contexts();
    let listing = [
        file("Dockerfile", 2),
        directory("src"),
        file("src/a", 2),
        file("src/b", 2),
        symlink("src/link", "../../../etc/passwd"),
        entry("src/twin", EntryKind::HardLink { target: path("src/a") }, 0o644, OLD),
    ];
    let (first, asked) = receive(contexts.receive(&key()), &listing, b"v1").expect("first");
    assert_eq!(asked, ["Dockerfile", "src/a", "src/b"]);
    assert_eq!(fs::read(first.path().join("src/b")).expect("content"), b"v1");
    assert_eq!(
        fs::read_link(first.path().join("src/link")).expect("link"),
        std::path::Path::new("../../../etc/passwd")
    );
    assert_eq!(
        fs::metadata(first.path().join("src/twin")).expect("twin").ino(),
        fs::metadata(first.path().join("src/a")).expect("a").ino(),
    );

    let (same, asked) = receive(contexts.receive(&key()), &listing, b"--").expect("unchanged");
    assert!(asked.is_empty());
    assert!(Arc::ptr_eq(&first, &same));

    let mut changed = listing.to_vec();
    changed[2].mode = 0o755;
    changed.remove(3);
    let (second, asked) = receive(contexts.receive(&key()), &changed, b"v2").expect("changed");
    assert_eq!(asked, ["src/a"]);
    assert_eq!(fs::read(second.path().join("src/a")).expect("a"), b"v2");
    assert_eq!(fs::read(second.path().join("src/twin")).expect("twin"), b"v2");
    assert_eq!(
        fs::metadata(second.path().join("src/a"))
            .expect("a")
            .permissions()
            .mode()
            & 0o7777,
        0o755
    );
    assert!(!second.path().join("src/b").exists());
    assert_eq!(
        fs::metadata(first.path().join("Dockerfile")).expect("old").ino(),
        fs::metadata(second.path().join("Dockerfile")).expect("new").ino(),
    );
    assert_eq!(
        fs::read(first.path().join("src/a")).expect("the tree in use stays"),
        b"v1"
    );
}

#[test]
fn a_file_that_had_just_changed_is_asked_for_again() {
    let (_root, contexts) = contexts();
    let now = i64::MAX / 2;
    let fresh = [entry("a", EntryKind::File { size_bytes: 2 }, 0o644, now)];
    receive(contexts.receive(&key()), &fresh, b"v1").expect("first");
    let (tree, asked) = receive(contexts.receive(&key()), &fresh, b"v2").expect("second");
    assert_eq!(asked, ["a"]);
    assert_eq!(fs::read(tree.path().join("a")).expect("content"), b"v2");
}

#[test]
fn a_later_engine_of_the_same_boot_goes_on_with_the_newest_tree() {
    let (root, contexts) = contexts();
    receive(contexts.receive(&key()), &[file("a", 1)], b"1").expect("first");
    drop(contexts);
    let contexts = Contexts::open(root.path()).expect("contexts");
    let (tree, asked) = receive(contexts.receive(&key()), &[file("a", 1)], b"2").expect("second");
    assert!(asked.is_empty());
    assert_eq!(tree.read("a", 1).expect("content").as_deref(), Some(&b"1"[..]));
}

#[test]
fn reading_follows_links_inside_the_tree_alone_and_is_bounded() {
    let (_root, contexts) = contexts();
    let listing = [
        directory("d"),
        file("d/real", 4),
        symlink("escape", "../../../../../etc/passwd"),
        entry("pipe", EntryKind::Fifo, 0o644, OLD),
        symlink("steady", "/d/real"),
    ];
    let (tree, _) = receive(contexts.receive_once(), &listing, b"text").expect("tree");
    assert_eq!(tree.read("steady", 4).expect("inside").as_deref(), Some(&b"text"[..]));
    assert_eq!(tree.read("escape", 4096).expect("outside"), None);
    assert_eq!(tree.read("missing", 4).expect("missing"), None);
    assert!(tree.read("steady", 3).is_err(), "too long");
    assert!(tree.read("pipe", 4).is_err(), "a pipe");
    assert!(tree.read("d", 4).is_err(), "a directory");
}

#[test]
fn hostile_listings_are_refused() {
    let (root, contexts) = contexts();
    let link_to = |target: &str| EntryKind::HardLink { target: path(target) };
    let listings: &[(&str, Vec<Entry>)] = &[
        ("twice", vec![file("a", 0), file("a", 0)]),
        ("backwards", vec![file("b", 0), file("a", 0)]),
        ("no parent", vec![file("d/a", 0)]),
        ("below a file", vec![file("d", 0), file("d/a", 0)]),
        ("below a link", vec![symlink("d", "/tmp"), file("d/a", 0)]),
        ("link to nothing", vec![entry("a", link_to("b"), 0o644, OLD)]),
        (
            "link to a link",
            vec![symlink("a", "/etc/passwd"), entry("b", link_to("a"), 0o644, OLD)],
        ),
        (
            "a directory left and come back to",
            vec![directory("a"), directory("b"), file("a/x", 0)],
        ),
    ];
    for (name, listing) in listings {
        assert!(receive(contexts.receive_once(), listing, b"").is_err(), "{name}");
    }
    let mut receiving = contexts.receive_once();
    assert!(receiving.content(0, b"x").is_err(), "content before any entry");
    receiving.entry(directory("d")).expect("directory");
    assert!(receiving.content(0, b"x").is_err(), "content of a directory");
    receiving.entry(file("d/f", 1)).expect("file");
    receiving.content(1, b"x").expect("content");
    assert!(receiving.finish().is_err(), "content that never ended");
    assert!(root.path().join("once").read_dir().is_ok());
}

#[test]
fn trees_that_were_replaced_go_with_their_last_user() {
    let (_root, contexts) = contexts();
    let (old, _) = receive(contexts.receive(&key()), &[file("a", 1)], b"1").expect("first");
    let place = old.path().to_owned();
    receive(contexts.receive(&key()), &[file("b", 1)], b"1").expect("second");
    assert!(place.join("a").exists(), "in use");
    drop(old);
    for _ in 0..1_000 {
        if !place.exists() {
            return;
        }
        std::thread::yield_now();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("{} was not removed", place.display());
}
