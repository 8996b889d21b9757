//! The kernel's overlay honours what the store writes, and the store reads what the kernel writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferry_store::{CommitOptions, Durability, Overlay, Timestamp};
use rustix::mount::{MountFlags, UnmountFlags};

use crate::fixture::{Fixture, is_root, snapshot_id};
use crate::tarball::{Entry, Tarball};

/// A mounted overlay, unmounted at the end.
struct Mounted(PathBuf);

impl Mounted {
    /// `None`, said aloud, where this machine cannot mount overlays.
    fn new(test: &str, overlay: &Overlay, target: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(target).unwrap();
        let lower: Vec<_> = overlay.lower.iter().map(|path| path.to_str().unwrap()).collect();
        let data = format!(
            "lowerdir={},upperdir={},workdir={},redirect_dir=off,metacopy=off,index=off{options}",
            lower.join(":"),
            overlay.upper.display(),
            overlay.work.display(),
        );
        let data = std::ffi::CString::new(data).unwrap();
        let flags = MountFlags::empty();
        match rustix::mount::mount("overlay", target, "overlay", flags, Some(data.as_c_str())) {
            Ok(()) => Some(Self(target.to_owned())),
            Err(errno) => {
                eprintln!("{test}: skipped: needs overlay mounts ({errno})");
                None
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, UnmountFlags::empty());
    }
}

#[test]
fn whiteouts_and_opaque_directories_are_honoured() {
    let test = "whiteouts_and_opaque_directories_are_honoured";
    if !is_root(test) {
        return;
    }
    let fixture = Fixture::new();
    let base = Tarball::new()
        .file("gone", b"")
        .dir("d/")
        .file("d/gone", b"")
        .file("d/kept", b"")
        .dir("opaque/")
        .file("opaque/old", b"")
        .dir("again/")
        .file("again/old", b"")
        .entry(Entry::new(b'5', b"strict/").mode(0o700).owner(5, 5));
    let base = fixture.layer(&base.finish()).unwrap().diff_id;
    let top = Tarball::new()
        .whiteout(".wh.gone")
        .whiteout("d/.wh.gone")
        .file("opaque/new", b"")
        .whiteout("opaque/.wh..wh..opq")
        .whiteout(".wh.again")
        .file("again/new", b"")
        .file("strict/f", b"");
    let top = fixture.layer(&top.finish()).unwrap().diff_id;
    let id = snapshot_id("s");
    let overlay = fixture
        .store
        .snapshots()
        .prepare(&id, &[base, top], Durability::Volatile)
        .unwrap();
    let target = fixture.folder.path().join("merged");
    let Some(mounted) = Mounted::new(test, &overlay, &target, "") else {
        return;
    };
    let mut seen: Vec<_> = crate::fixture::inventory(&target).into_keys().collect();
    seen.retain(|path| path != Path::new(""));
    let expected = [
        "again",
        "again/new",
        "d",
        "d/kept",
        "opaque",
        "opaque/new",
        "strict",
        "strict/f",
    ];
    assert_eq!(seen, expected.map(PathBuf::from));
    let summary = &crate::fixture::inventory(&target)[Path::new("strict")];
    assert!(summary.starts_with("40700 5:5 "), "{summary}");
    drop(mounted);
}

#[test]
fn what_a_container_changes_becomes_a_layer_that_shows_the_same() {
    let test = "what_a_container_changes_becomes_a_layer_that_shows_the_same";
    if !is_root(test) {
        return;
    }
    let fixture = Fixture::new();
    let base = Tarball::new()
        .dir("./")
        .dir("d/")
        .file("d/a", b"a")
        .file("d/b", b"b")
        .dir("moved/")
        .file("moved/f", b"f")
        .file("remade", b"old")
        .dir("redone/")
        .file("redone/old", b"")
        .symlink("link", "d/a");
    let base = fixture.layer(&base.finish()).unwrap().diff_id;
    let target = fixture.folder.path().join("merged");
    let snapshots = fixture.store.snapshots();
    let mut diff_ids = Vec::new();
    for options in ["", ",index=on", ",redirect_dir=nofollow", ",volatile"] {
        let id = snapshot_id("build");
        let overlay = snapshots.prepare(&id, &[base], Durability::Volatile).unwrap();
        let Some(mounted) = Mounted::new(test, &overlay, &target, options) else {
            return;
        };
        let script = "set -e; cd \"$0\"; rm d/a; echo c > d/c; ln d/c d/hard; chmod 700 d; \
            mkdir new; cp -r moved copied; rm -r moved; rm remade; mkdir remade; echo x > remade/x; \
            rm -r redone; mkdir redone; echo y > redone/new; ln -sf d/b link; mknod fifo p; \
            find . -exec touch -h -d @1700000000 {} +";
        let status = Command::new("sh").arg("-c").arg(script).arg(&target).status().unwrap();
        assert!(status.success());
        let expected = crate::fixture::inventory(&target);
        drop(mounted);
        let options = CommitOptions {
            epoch: Some(Timestamp(1_800_000_000)),
        };
        let diff_id = snapshots.commit(&id, &options).unwrap().diff_id;
        diff_ids.push(diff_id);
        let id = snapshot_id("check");
        let overlay = snapshots.prepare(&id, &[base, diff_id], Durability::Volatile).unwrap();
        let mounted = Mounted::new(test, &overlay, &target, "").unwrap();
        let mut shown = crate::fixture::inventory(&target);
        let mut expected = expected;
        // The top's time is that of whatever was made in it last.
        for inventory in [&mut shown, &mut expected] {
            inventory.remove(Path::new(""));
        }
        assert_eq!(shown, expected);
        drop(mounted);
        snapshots.remove(&id).unwrap();
    }
    // However it was mounted: the same changes are the same layer.
    assert!(diff_ids.windows(2).all(|pair| pair[0] == pair[1]), "{diff_ids:?}");
}

#[test]
fn a_volatile_overlay_can_be_mounted_again_after_renewal() {
    let test = "a_volatile_overlay_can_be_mounted_again_after_renewal";
    if !is_root(test) {
        return;
    }
    let fixture = Fixture::new();
    let base = fixture.layer(&crate::fixture::simple("f", b"")).unwrap().diff_id;
    let id = snapshot_id("s");
    let snapshots = fixture.store.snapshots();
    let overlay = snapshots.prepare(&id, &[base], Durability::Volatile).unwrap();
    let target = fixture.folder.path().join("merged");
    let Some(mounted) = Mounted::new(test, &overlay, &target, ",volatile") else {
        return;
    };
    fs::write(target.join("g"), "").unwrap();
    drop(mounted);
    assert!(Mounted::new("as expected", &overlay, &target, ",volatile").is_none());
    let snapshot = snapshots.renew(&id).unwrap();
    let mounted = Mounted::new(test, &snapshot.overlay, &target, ",volatile").unwrap();
    assert!(target.join("g").exists());
    drop(mounted);
}
