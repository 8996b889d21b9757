//! What a crash or a power cut leaves is cleaned up when the store is opened.

use std::fs;
use std::io::Write;

use ferry_oci::{Digest, Reference};
use ferry_store::{Durability, Error, Store};

use crate::fixture::{Fixture, is_root, simple, snapshot_id};

#[test]
fn one_engine_a_root() {
    let fixture = Fixture::new();
    let second = Store::open(&fixture.root());
    assert!(matches!(second, Err(Error::Locked { .. })));
    fixture.reopen();
}

#[test]
fn half_written_things_go_when_the_store_is_opened() {
    if !is_root("half_written_things_go_when_the_store_is_opened") {
        return;
    }
    let fixture = Fixture::new();
    let root = fixture.root();
    let mut ingest = fixture.store.content().ingest().unwrap();
    ingest.write_all(b"half").unwrap();
    std::mem::forget(ingest);
    fs::create_dir_all(root.join("tmp/layer/fs/deep")).unwrap();
    fs::write(root.join("images/.new-1-1"), "{").unwrap();
    let id = snapshot_id("kept");
    fixture
        .store
        .snapshots()
        .prepare(&id, &[], Durability::Durable)
        .unwrap();
    fs::create_dir_all(root.join("snapshots/broken/upper")).unwrap();
    fs::create_dir_all(root.join("snapshots/empty")).unwrap();
    fs::write(root.join("snapshots/empty/snapshot.json"), "").unwrap();
    // The forgotten ingest still holds a clone of the store: its lock is the process's own.
    let folder = fixture.folder;
    let copy = folder.path().join("copy");
    let status = std::process::Command::new("cp")
        .arg("-a")
        .arg(&root)
        .arg(&copy)
        .status();
    assert!(status.unwrap().success());
    let store = Store::open(&copy).unwrap();
    assert_eq!(fs::read_dir(copy.join("tmp")).unwrap().count(), 0);
    assert_eq!(store.snapshots().list().unwrap(), [id]);
    assert!(!copy.join("images/.new-1-1").exists());
    store.empty_trash().unwrap();
    assert_eq!(fs::read_dir(copy.join("trash")).unwrap().count(), 0);
}

#[test]
fn after_a_power_cut_only_what_was_synced_is_believed() {
    if !is_root("after_a_power_cut_only_what_was_synced_is_believed") {
        return;
    }
    let fixture = Fixture::new();
    let synced = fixture.layer(&simple("f", b"synced")).unwrap();
    let manifest = fixture.manifest(&[&synced], "linux/amd64");
    let reference = Reference::parse("a").unwrap();
    fixture.store.images().put(&reference, manifest).unwrap();
    let unsynced = fixture.layer(&simple("f", b"unsynced")).unwrap();
    let hollow = fixture.store.content().write(b"hollow").unwrap();
    // A crash of the engine alone takes nothing.
    let fixture = fixture.reopen();
    assert!(fixture.store.layers().has(&unsynced.diff_id));
    // Another boot: what the kernel had not written may be hollow.
    fs::write(fixture.store.content().path(&hollow), "").unwrap();
    let root = fixture.root();
    fs::write(
        root.join("epoch.json"),
        r#"{"version":1,"boot_id":"another","mount_id":1}"#,
    )
    .unwrap();
    let fixture = fixture.reopen();
    let store = &fixture.store;
    assert!(store.layers().has(&synced.diff_id));
    assert!(!store.layers().has(&unsynced.diff_id));
    assert!(!store.content().has(&hollow));
    let blob = Digest::try_from(unsynced.descriptor.digest()).unwrap();
    assert!(!store.content().has(&blob));
    assert!(store.images().get(&reference).is_ok());
    assert_eq!(fs::read_dir(root.join("pending")).unwrap().count(), 0);
}

#[test]
fn sync_clears_what_is_pending() {
    let fixture = Fixture::new();
    fixture.store.content().write(b"x").unwrap();
    let pending = || fs::read_dir(fixture.root().join("pending")).unwrap().count();
    assert_eq!(pending(), 1);
    fixture.store.sync().unwrap();
    assert_eq!(pending(), 0);
}

#[test]
fn folders_are_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    let mode = |name: &str| {
        let path = fixture.root().join(name);
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!(mode("."), 0o710);
    for name in ["blobs", "blobs/sha256", "layers", "snapshots", "images", "tmp", "trash"] {
        assert_eq!(mode(name), 0o700, "{name}");
    }
}
