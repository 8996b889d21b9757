//! Snapshots, and the layers that are made of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use ferry_oci::{DiffId, Digest};
use ferry_store::{CommitOptions, Durability, Error, Overlay, SnapshotId, Timestamp};
use rustix::fs::{FileType, Mode, XattrFlags};

use crate::fixture::{Fixture, inventory, is_root, is_whiteout, simple, snapshot_id, xattr};
use crate::tarball::{Entry, Tarball};

const CLAMP: CommitOptions = CommitOptions {
    epoch: Some(Timestamp(1_500_000_000)),
};

/// A new snapshot, and what it is mounted from.
fn prepare(fixture: &Fixture, name: &str, layers: &[DiffId]) -> (SnapshotId, Overlay) {
    let id = snapshot_id(name);
    let snapshots = fixture.store.snapshots();
    let overlay = snapshots.prepare(&id, layers, Durability::Volatile).unwrap();
    (id, overlay)
}

/// Fills a directory with one of everything, in an order and with times that differ by `variant`.
fn fill(folder: &Path, variant: u64) {
    let mut names: Vec<String> = (0..20).map(|index| format!("file-{index}")).collect();
    if variant == 1 {
        names.reverse();
    }
    fs::create_dir(folder.join("d")).unwrap();
    fs::create_dir(folder.join("d/empty")).unwrap();
    for name in &names {
        fs::write(folder.join("d").join(name), name).unwrap();
    }
    for name in ["+plus", "-minus", "Zed", "ä", "_"] {
        fs::write(folder.join(name), [0; 70_000]).unwrap();
    }
    fs::hard_link(folder.join("d/file-3"), folder.join("linked")).unwrap();
    symlink("/d/file-1", folder.join("symbolic")).unwrap();
    symlink("t".repeat(150), folder.join("symbolic-long")).unwrap();
    let long = folder.join("l".repeat(200));
    fs::write(&long, "long").unwrap();
    fs::set_permissions(&long, fs::Permissions::from_mode(0o4755)).unwrap();
    std::os::unix::fs::chown(&long, Some(3_000_000), Some(5)).unwrap();
    let node = |name: &str, kind, device| {
        let path = folder.join(name);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, Mode::RUSR, device).unwrap();
    };
    node("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    node("fifo", FileType::Fifo, 0);
    node("d/gone", FileType::CharacterDevice, 0);
    let mut attributes = ["user.b", "user.a"];
    if variant == 1 {
        attributes.reverse();
    }
    for name in attributes {
        let file = folder.join("_");
        rustix::fs::setxattr(&file, name, name.as_bytes(), XattrFlags::empty()).unwrap();
    }
    let opaque = folder.join("d/empty");
    rustix::fs::setxattr(&opaque, "trusted.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
}

fn base(fixture: &Fixture) -> DiffId {
    let tar = Tarball::new().dir("d/").dir("d/empty/").file("d/gone", b"x");
    fixture.layer(&tar.finish()).unwrap().diff_id
}

#[test]
fn the_same_tree_gives_the_same_layer() {
    if !is_root("the_same_tree_gives_the_same_layer") {
        return;
    }
    let mut results = Vec::new();
    for variant in 0..2 {
        let fixture = Fixture::new();
        let base = base(&fixture);
        let (id, overlay) = prepare(&fixture, "build", &[base]);
        let snapshots = fixture.store.snapshots();
        fill(&overlay.upper, variant);
        let committed = snapshots.commit(&id, &CLAMP).unwrap();
        let mut tar = Vec::new();
        fixture.store.layers().write_tar(&committed.diff_id, &mut tar).unwrap();
        assert_eq!(committed.diff_id, DiffId(Digest::of(&tar)));
        let compressed = fixture.store.layers().compress(&committed.diff_id).unwrap();
        assert_eq!(compressed, fixture.store.layers().compress(&committed.diff_id).unwrap());
        assert!(matches!(snapshots.get(&id), Err(Error::SnapshotMissing(_))));
        fixture.assert_tidy();
        results.push((committed, compressed));
    }
    assert_eq!(results[0], results[1]);
    // A change here changes the digest of every image that is built: say so in the changelog.
    assert_eq!(
        results[0].0.diff_id.to_string(),
        "sha256:d004b4b1ae7f598eeddd2c2177548dee98a2cbe68ae6ce9325565335a5801e25"
    );
}

#[test]
fn a_layer_is_the_same_here_and_where_it_was_pulled() {
    if !is_root("a_layer_is_the_same_here_and_where_it_was_pulled") {
        return;
    }
    let fixture = Fixture::new();
    let base = base(&fixture);
    let (id, overlay) = prepare(&fixture, "build", &[base]);
    let snapshots = fixture.store.snapshots();
    fill(&overlay.upper, 0);
    let diff_id = snapshots.commit(&id, &CLAMP).unwrap().diff_id;
    let descriptor = fixture.store.layers().compress(&diff_id).unwrap();
    let digest = Digest::try_from(descriptor.digest()).unwrap();
    let blob = fixture.store.content().open(&digest).unwrap();
    let mut tar = Vec::new();
    fixture.store.layers().write_tar(&diff_id, &mut tar).unwrap();
    let other = Fixture::new();
    let limits = ferry_store::Limits::default();
    other
        .store
        .layers()
        .import(blob, &descriptor, &diff_id, &limits)
        .unwrap();
    // The blob may go: the tree gives the same bytes again, there too.
    fs::remove_file(other.store.content().path(&digest)).unwrap();
    let mut again = Vec::new();
    other.store.layers().write_tar(&diff_id, &mut again).unwrap();
    assert!(tar == again);
    let trees = [&fixture, &other].map(|fixture| fixture.store.layers().path(&diff_id).unwrap());
    let inventories = trees.clone().map(|tree| {
        let mut inventory = inventory(&tree);
        // Nobody described the top, which is that of the layers below, nor the whiteout's inode.
        inventory.remove(Path::new(""));
        assert!(inventory.remove(Path::new("d/gone")).is_some());
        inventory
    });
    assert_eq!(inventories[0], inventories[1]);
    for tree in trees {
        assert!(is_whiteout(&tree.join("d/gone")));
        assert!(xattr(&tree.join("d/empty"), "trusted.overlay.opaque").is_some());
        assert_eq!(xattr(&tree.join("_"), "user.a").unwrap(), b"user.a");
    }
}

#[test]
fn other_programs_read_the_tar() {
    if !is_root("other_programs_read_the_tar") {
        return;
    }
    let fixture = Fixture::new();
    let base = base(&fixture);
    let (id, overlay) = prepare(&fixture, "build", &[base]);
    let snapshots = fixture.store.snapshots();
    fill(&overlay.upper, 0);
    let diff_id = snapshots.commit(&id, &CLAMP).unwrap().diff_id;
    let path = fixture.folder.path().join("layer.tar");
    let file = fs::File::create(&path).unwrap();
    fixture.store.layers().write_tar(&diff_id, file).unwrap();
    let Ok(output) = Command::new("tar").arg("-tvf").arg(&path).output() else {
        eprintln!("other_programs_read_the_tar: skipped: needs tar");
        return;
    };
    let listing = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    for expected in [
        "d/empty/.wh..wh..opq",
        "d/.wh.gone",
        "linked link to d/file-3",
        "symbolic -> /d/file-1",
        "1,3",
        "3000000/5",
    ] {
        assert!(listing.contains(expected), "{expected} in {listing}");
    }
}

#[test]
fn overlayfs_marks_that_hide_nothing_do_not_reach_the_digest() {
    if !is_root("overlayfs_marks_that_hide_nothing_do_not_reach_the_digest") {
        return;
    }
    let fixture = Fixture::new();
    let base = base(&fixture);
    let snapshots = fixture.store.snapshots();
    let mut diff_ids = Vec::new();
    for name in ["plain", "marked"] {
        let (id, overlay) = prepare(&fixture, name, &[base]);
        let new = overlay.upper.join("new");
        fs::create_dir(&new).unwrap();
        if name == "marked" {
            for (attribute, value) in [("opaque", "y"), ("impure", "y"), ("origin", "whatever")] {
                let attribute = format!("trusted.overlay.{attribute}");
                rustix::fs::setxattr(&new, attribute, value.as_bytes(), XattrFlags::empty()).unwrap();
            }
        }
        diff_ids.push(snapshots.commit(&id, &CLAMP).unwrap().diff_id);
    }
    assert_eq!(diff_ids[0], diff_ids[1]);
}

#[test]
fn a_tree_that_no_layer_can_express_is_refused() {
    if !is_root("a_tree_that_no_layer_can_express_is_refused") {
        return;
    }
    let fixture = Fixture::new();
    let (id, overlay) = prepare(&fixture, "build", &[]);
    let snapshots = fixture.store.snapshots();
    fs::write(overlay.upper.join(".wh.x"), "").unwrap();
    let error = snapshots.commit(&id, &CLAMP).unwrap_err().to_string();
    assert!(error.contains(".wh."), "{error}");
    fs::remove_file(overlay.upper.join(".wh.x")).unwrap();
    let attribute = "trusted.overlay.redirect";
    rustix::fs::setxattr(&overlay.upper, attribute, b"/x", XattrFlags::empty()).unwrap();
    let error = snapshots.commit(&id, &CLAMP).unwrap_err().to_string();
    assert!(error.contains("redirect"), "{error}");
    assert!(snapshots.get(&id).is_ok(), "a failed commit must not take the snapshot");
}

#[test]
fn sockets_and_times_of_the_host_are_left_out() {
    if !is_root("sockets_and_times_of_the_host_are_left_out") {
        return;
    }
    let fixture = Fixture::new();
    let (id, overlay) = prepare(&fixture, "build", &[]);
    let snapshots = fixture.store.snapshots();
    let _socket = std::os::unix::net::UnixListener::bind(overlay.upper.join("socket")).unwrap();
    fs::write(overlay.upper.join("old"), "").unwrap();
    let old = fs::File::options().write(true).open(overlay.upper.join("old")).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_000_500);
    old.set_modified(time).unwrap();
    let committed = snapshots.commit(&id, &CLAMP).unwrap();
    assert_eq!(committed.entries, 1);
    let tree = fixture.store.layers().path(&committed.diff_id).unwrap();
    assert!(!tree.join("socket").exists());
    let modified = fs::metadata(tree.join("old")).unwrap().modified().unwrap();
    assert_eq!(modified, std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000));
}

#[test]
fn nothing_changed_is_seen() {
    if !is_root("nothing_changed_is_seen") {
        return;
    }
    let fixture = Fixture::new();
    let base = base(&fixture);
    let snapshots = fixture.store.snapshots();
    for name in ["first", "second"] {
        let id = snapshot_id(name);
        snapshots.prepare(&id, &[base], Durability::Volatile).unwrap();
        let committed = snapshots.commit(&id, &CLAMP).unwrap();
        assert_eq!((committed.entries, committed.size_bytes), (0, 0));
    }
    fixture.assert_tidy();
}

#[test]
fn a_changed_top_becomes_part_of_the_layer() {
    if !is_root("a_changed_top_becomes_part_of_the_layer") {
        return;
    }
    let fixture = Fixture::new();
    let base = base(&fixture);
    let (id, overlay) = prepare(&fixture, "build", &[base]);
    let snapshots = fixture.store.snapshots();
    fs::set_permissions(&overlay.upper, fs::Permissions::from_mode(0o711)).unwrap();
    let diff_id = snapshots.commit(&id, &CLAMP).unwrap().diff_id;
    let mut tar = Vec::new();
    fixture.store.layers().write_tar(&diff_id, &mut tar).unwrap();
    assert!(tar.starts_with(b"./\0"));
    let next = snapshots
        .prepare(&snapshot_id("next"), &[base, diff_id], Durability::Volatile)
        .unwrap();
    let mode = fs::metadata(next.upper).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o711);
}

#[test]
fn a_snapshot_in_use_can_be_captured() {
    if !is_root("a_snapshot_in_use_can_be_captured") {
        return;
    }
    let fixture = Fixture::new();
    let base = base(&fixture);
    let snapshots = fixture.store.snapshots();
    let mut diff_ids = Vec::new();
    for name in ["captured", "committed"] {
        let (id, overlay) = prepare(&fixture, name, &[base]);
        fill(&overlay.upper, 0);
        if name == "captured" {
            let before = inventory(&overlay.upper);
            let diff_id = snapshots.capture(&id, &CLAMP).unwrap().diff_id;
            assert_eq!(before, inventory(&overlay.upper));
            let mut tar = Vec::new();
            fixture.store.layers().write_tar(&diff_id, &mut tar).unwrap();
            diff_ids.push(diff_id);
        } else {
            diff_ids.push(snapshots.commit(&id, &CLAMP).unwrap().diff_id);
        }
    }
    assert_eq!(diff_ids[0], diff_ids[1]);
    fixture.assert_tidy();
}

#[test]
fn names_and_states_are_checked() {
    let fixture = Fixture::new();
    for name in ["", ".", "..", "a/b", "../a", "a\0", "ä", &"x".repeat(129)] {
        let parsed: Result<SnapshotId, _> = name.parse();
        assert!(matches!(parsed, Err(Error::SnapshotName(_))), "{name:?}");
    }
    let snapshots = fixture.store.snapshots();
    let id = snapshot_id("a");
    let missing = DiffId(Digest::of(b"missing"));
    let result = snapshots.prepare(&id, &[missing], Durability::Durable);
    assert!(matches!(result, Err(Error::LayerMissing(layer)) if layer == missing));
    fixture.assert_tidy();
    if !is_root("names_and_states_are_checked") {
        return;
    }
    snapshots.prepare(&id, &[], Durability::Durable).unwrap();
    let again = snapshots.prepare(&id, &[], Durability::Durable);
    assert!(matches!(again, Err(Error::SnapshotExists(_))));
    assert_eq!(snapshots.list().unwrap(), std::slice::from_ref(&id));
    snapshots.remove(&id).unwrap();
    snapshots.remove(&id).unwrap();
    assert!(matches!(snapshots.get(&id), Err(Error::SnapshotMissing(_))));
    assert!(fs::read_dir(fixture.root().join("trash")).unwrap().count() > 0);
    fixture.store.empty_trash().unwrap();
    assert_eq!(fs::read_dir(fixture.root().join("trash")).unwrap().count(), 0);
}

#[test]
fn a_layer_that_comes_twice_is_mounted_once() {
    if !is_root("a_layer_that_comes_twice_is_mounted_once") {
        return;
    }
    let fixture = Fixture::new();
    let repeated = fixture.layer(&simple("a", b"")).unwrap().diff_id;
    let between = fixture
        .layer(&Tarball::new().whiteout(".wh.a").finish())
        .unwrap()
        .diff_id;
    let (_, overlay) = prepare(&fixture, "s", &[repeated, between, repeated]);
    let path = |layer| fixture.store.layers().path(layer).unwrap();
    assert_eq!(overlay.lower, [path(&repeated), path(&between)]);
}

#[test]
fn an_opaque_top_hides_all_layers_below() {
    if !is_root("an_opaque_top_hides_all_layers_below") {
        return;
    }
    let fixture = Fixture::new();
    let lower = fixture.layer(&simple("a", b"")).unwrap().diff_id;
    let tar = Tarball::new().whiteout(".wh..wh..opq").file("b", b"");
    let upper = fixture.layer(&tar.finish()).unwrap().diff_id;
    let (_, overlay) = prepare(&fixture, "s", &[lower, upper]);
    assert_eq!(overlay.lower, [fixture.store.layers().path(&upper).unwrap()]);
}

#[test]
fn implied_directories_do_not_override_lower_ones() {
    if !is_root("implied_directories_do_not_override_lower_ones") {
        return;
    }
    let fixture = Fixture::new();
    let base = Tarball::new()
        .entry(Entry::new(b'5', b"./").mode(0o700).owner(9, 9))
        .entry(Entry::new(b'5', b"home/").mode(0o711).owner(1, 1))
        .entry(Entry::new(b'5', b"home/user/").mode(0o700).owner(1000, 1000))
        .entry(Entry::new(b'5', b"tmp/").mode(0o1777))
        .file("etc/only-implied", b"");
    let base = fixture.layer(&base.finish()).unwrap().diff_id;
    let middle = fixture.layer(&simple("home/user/a/b", b"")).unwrap().diff_id;
    let top = Tarball::new().file("tmp/x", b"").file("etc/y", b"").file("new/z", b"");
    let top = fixture.layer(&top.finish()).unwrap().diff_id;
    let (_, overlay) = prepare(&fixture, "s", &[base, middle, top]);
    assert_eq!(overlay.lower.len(), 4);
    let corrected = inventory(&overlay.lower[0]);
    let shown: Vec<_> = corrected
        .iter()
        .skip(1)
        .map(|(path, summary)| format!("{} {summary}", path.display()))
        .collect();
    assert_eq!(
        shown,
        [
            "home 40711 1:1 1000000000.0 ",
            "home/user 40700 1000:1000 1000000000.0 ",
            "tmp 41777 0:0 1000000000.0 ",
        ]
    );
    let summary = &inventory(&overlay.upper)[Path::new("")];
    assert!(summary.starts_with("40700 9:9 "), "{summary}");
}

#[test]
fn what_hides_a_lower_directory_keeps_its_own_metadata() {
    if !is_root("what_hides_a_lower_directory_keeps_its_own_metadata") {
        return;
    }
    let fixture = Fixture::new();
    let base = Tarball::new().entry(Entry::new(b'5', b"d/").mode(0o700));
    let base = fixture.layer(&base.finish()).unwrap().diff_id;
    for (name, hiding) in [
        ("opaque", Tarball::new().whiteout("d/.wh..wh..opq").file("d/f", b"")),
        ("replaced", Tarball::new().whiteout(".wh.d").file("d/f", b"")),
    ] {
        let hiding = fixture.layer(&hiding.finish()).unwrap().diff_id;
        let (_, overlay) = prepare(&fixture, name, &[base, hiding]);
        assert_eq!(overlay.lower.len(), 2, "{name}");
    }
}

#[test]
fn mount_points_are_made_where_layers_lack_them() {
    if !is_root("mount_points_are_made_where_layers_lack_them") {
        return;
    }
    let fixture = Fixture::new();
    let wanted = [("etc", "hosts"), ("etc", "name"), ("run", "x"), ("link", "x")];
    let plain = Tarball::new()
        .dir("etc/")
        .file("etc/hosts", b"own")
        .file("etc/name", b"n");
    let base = fixture.layer(&plain.finish()).unwrap().diff_id;
    let links = Tarball::new().symlink("link", "etc").whiteout("etc/.wh.name");
    let above = fixture.layer(&links.finish()).unwrap().diff_id;
    let snapshots = fixture.store.snapshots();
    let points = |layers: &[DiffId]| snapshots.mount_points(layers, &wanted).unwrap();

    assert_eq!(points(&[]), None);
    assert_eq!(points(&[base]), None, "all that can be there is there");
    // The upper layer implies etc/, whose metadata a snapshot on both corrects in its own way.
    assert_eq!(points(&[base, above]), None);

    let described = Tarball::new().dir("etc/").whiteout("etc/.wh.name");
    let described = fixture.layer(&described.finish()).unwrap().diff_id;
    let place = points(&[base, described]).expect("a name was taken away");
    assert_eq!(fs::read(place.join("etc/name")).unwrap(), b"");
    assert_eq!(fs::read_dir(place.join("etc")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    let of_layer = fixture.store.layers().path(&described).unwrap().join("etc");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&place.join("etc")), mode(&of_layer));
    assert_eq!(points(&[base, described]), Some(place), "made once");
    fixture.assert_tidy();
}

#[test]
fn changes_are_told_against_the_layers() {
    if !is_root("changes_are_told_against_the_layers") {
        return;
    }
    let fixture = Fixture::new();
    let base = base(&fixture);
    let snapshots = fixture.store.snapshots();
    let told = |id: &SnapshotId| -> Vec<String> {
        let changes = snapshots.changes(id).unwrap();
        let line =
            |change: ferry_store::Change| format!("{:?} {}", change.kind, String::from_utf8(change.path).unwrap());
        changes.into_iter().map(line).collect()
    };
    let (id, overlay) = prepare(&fixture, "within", &[base]);
    assert_eq!(told(&id), Vec::<String>::new());
    fs::create_dir(overlay.upper.join("d")).unwrap();
    fs::write(overlay.upper.join("d/new"), "").unwrap();
    fs::write(overlay.upper.join("top"), "").unwrap();
    let gone = overlay.upper.join("d/gone");
    rustix::fs::mknodat(rustix::fs::CWD, &gone, FileType::CharacterDevice, Mode::RUSR, 0).unwrap();
    assert_eq!(
        told(&id),
        ["Modified /d", "Deleted /d/gone", "Added /d/new", "Added /top"]
    );
    // A directory that was made anew hides all that was in it.
    fs::remove_file(&gone).unwrap();
    fs::write(&gone, "").unwrap();
    let opaque = "trusted.overlay.opaque";
    rustix::fs::setxattr(overlay.upper.join("d"), opaque, b"y", XattrFlags::empty()).unwrap();
    assert_eq!(
        told(&id),
        [
            "Modified /d",
            "Deleted /d/empty",
            "Modified /d/gone",
            "Added /d/new",
            "Added /top"
        ]
    );
}
