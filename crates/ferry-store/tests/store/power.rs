//! A power cut on a real ext4: what was acknowledged is there, and nothing hollow is believed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferry_oci::Reference;
use ferry_store::{Durability, Limits, Store};

use crate::fixture::{Packing, is_root, pack, simple, snapshot_id};

/// An ext4 of its own on a loop device, unmounted at the end.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// `None`, said aloud, where this machine cannot have one.
    fn new(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        fs::create_dir(folder.path().join("mount")).unwrap();
        let disk = Self { folder };
        let made = run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        let ready = made.and_then(|()| disk.mount()).and_then(|()| {
            // Whether the cut itself can be made.
            run(Command::new("python3").args(["-c", "import fcntl"]))
        });
        match ready {
            Ok(()) => Some(disk),
            Err(reason) => {
                eprintln!("{test}: skipped: needs mkfs.ext4, loop devices and python3 ({reason})");
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount")
            .args(["-o", "loop,noauto_da_alloc,commit=600"])
            .arg(self.folder.path().join("image"))
            .arg(self.path()))
    }

    /// Forgets whatever the kernel has not written. Source: FS_IOC_SHUTDOWN with NOLOGFLUSH.
    fn cut_power(&self) {
        let script = "import fcntl, os, struct, sys\n\
            fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
        let mut command = Command::new("python3");
        run(command.args(["-c", script]).arg(self.path())).unwrap();
        run(Command::new("umount").arg(self.path())).unwrap();
        self.mount().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).output();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn import(store: &Store, content: &[u8]) -> crate::fixture::Packed {
    let packed = pack(&simple("f", content), Packing::Gzip);
    let layers = store.layers();
    let limits = Limits::default();
    layers
        .import(&packed.bytes[..], &packed.descriptor, &packed.diff_id, &limits)
        .unwrap();
    packed
}

/// Manifest and config of one layer.
fn manifest(store: &Store, layer: &crate::fixture::Packed) -> ferry_oci::Descriptor {
    let write = |media_type: &str, value: serde_json::Value| {
        let bytes = value.to_string().into_bytes();
        let digest = store.content().write(&bytes).unwrap();
        ferry_oci::Descriptor::new(media_type.into(), bytes.len() as u64, digest)
    };
    let config = write(
        ferry_oci::media_type::OCI_CONFIG,
        serde_json::json!({"architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}),
    );
    write(
        ferry_oci::media_type::OCI_MANIFEST,
        serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer.descriptor]}),
    )
}

fn content_of(path: &Path) -> Vec<u8> {
    fs::read(path.join("f")).unwrap()
}

#[test]
fn a_power_cut_takes_only_what_was_not_acknowledged() {
    let test = "a_power_cut_takes_only_what_was_not_acknowledged";
    if !is_root(test) {
        return;
    }
    let Some(disk) = Disk::new(test) else {
        return;
    };
    let root = disk.path().join("store");
    let (acknowledged, later) = (vec![1; 200_000], vec![2; 200_000]);
    let reference = Reference::parse("a").unwrap();
    let platform = "linux/amd64".parse().unwrap();

    let store = Store::open(&root).unwrap();
    let first = import(&store, &acknowledged);
    let target = manifest(&store, &first);
    store.images().put(&reference, target).unwrap();
    let layers = [first.diff_id];
    let second = import(&store, &later);
    // Its fsync brings the names of the second layer to the disk too, but not its files' bytes.
    let durable = snapshot_id("durable");
    store
        .snapshots()
        .prepare(&durable, &layers, Durability::Durable)
        .unwrap();
    let volatile = snapshot_id("volatile");
    store
        .snapshots()
        .prepare(&volatile, &layers, Durability::Volatile)
        .unwrap();
    drop(store);
    disk.cut_power();

    let store = Store::open(&root).unwrap();
    let target = store.images().get(&reference).unwrap().target;
    let image = store.image(&target, &platform).unwrap();
    assert_eq!(image.diff_ids(), layers);
    let overlay = store.snapshots().get(&durable).unwrap().overlay;
    assert!(content_of(&overlay.lower[0]) == acknowledged);
    let mut tar = Vec::new();
    store.layers().write_tar(&first.diff_id, &mut tar).unwrap();
    // What was not acknowledged is wholly there or wholly absent, and can be had again.
    if store.layers().has(&second.diff_id) {
        assert!(content_of(&store.layers().path(&second.diff_id).unwrap()) == later);
    }
    let second = import(&store, &later);
    assert!(content_of(&store.layers().path(&second.diff_id).unwrap()) == later);
    for id in store.snapshots().list().unwrap() {
        store.snapshots().get(&id).unwrap();
    }
    store.empty_trash().unwrap();
    drop(store);
}
