//! Layers: one pass in, checked, shared, and out again byte for byte.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;

use ferry_oci::{Descriptor, DiffId, Digest};
use ferry_store::{Error, Limits};

use crate::fixture::{Fixture, Packed, Packing, gzip, inventory, is_root, is_whiteout, pack, simple, xattr};
use crate::tarball::{Entry, Tarball};

const OPAQUE: &str = "trusted.overlay.opaque";

#[test]
fn every_packing_gives_the_same_layer() {
    if !is_root("every_packing_gives_the_same_layer") {
        return;
    }
    let tar = Tarball::new().dir("d/").file("d/f", &[7; 100_000]).finish();
    let mut inventories = Vec::new();
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let fixture = Fixture::new();
        let packed = pack(&tar, packing);
        fixture.import(&packed).unwrap();
        inventories.push(inventory(&fixture.tree(&packed)));
        let blob = Digest::try_from(packed.descriptor.digest()).unwrap();
        assert_eq!(fixture.store.content().read(&blob, 1 << 20).unwrap(), packed.bytes);
        let mut out = Vec::new();
        fixture.store.layers().write_tar(&packed.diff_id, &mut out).unwrap();
        assert!(out == tar, "{packing:?}");
        fixture.assert_tidy();
    }
    assert_eq!(inventories[0], inventories[1]);
    assert_eq!(inventories[0], inventories[2]);
}

#[test]
fn gzip_of_several_members_and_a_mislabelled_layer_are_accepted() {
    if !is_root("gzip_of_several_members_and_a_mislabelled_layer_are_accepted") {
        return;
    }
    let tar = simple("f", &[3; 5000]);
    let mut packed = pack(&tar, Packing::Zstd);
    packed.bytes = [gzip(&tar[..700]), gzip(&tar[700..701]), gzip(b""), gzip(&tar[701..])].concat();
    packed.descriptor = Descriptor::new(
        packed.descriptor.media_type().clone(),
        packed.bytes.len() as u64,
        Digest::of(&packed.bytes),
    );
    let fixture = Fixture::new();
    fixture.import(&packed).unwrap();
    assert_eq!(fs::read(fixture.tree(&packed).join("f")).unwrap(), [3; 5000]);
}

#[test]
fn a_stream_may_come_byte_by_byte() {
    if !is_root("a_stream_may_come_byte_by_byte") {
        return;
    }
    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = buffer.len().min(1);
            self.0.read(&mut buffer[..len])
        }
    }
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let fixture = Fixture::new();
        let packed = pack(&simple("f", &[5; 3000]), packing);
        let stream = Slow(&packed.bytes);
        let layers = fixture.store.layers();
        let limits = Limits::default();
        layers
            .import(stream, &packed.descriptor, &packed.diff_id, &limits)
            .unwrap();
    }
}

#[test]
fn zstd_of_several_frames_is_accepted_and_of_a_huge_window_refused() {
    if !is_root("zstd_of_several_frames_is_accepted_and_of_a_huge_window_refused") {
        return;
    }
    let tar = simple("f", &[6; 5000]);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let frame = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let frames = [skippable.clone(), frame(&tar[..900]), frame(&tar[900..]), skippable].concat();
    let fixture = Fixture::new();
    fixture.import(&described(&tar, frames)).unwrap();

    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(30).unwrap();
    encoder.write_all(&tar).unwrap();
    let packed = described(&simple("other", b""), encoder.finish().unwrap());
    let error = fixture.import(&packed).unwrap_err();
    assert!(matches!(error, Error::Compression { format: "zstd", .. }), "{error}");
}

/// A layer whose blob is `bytes`, said to hold `tar`.
fn described(tar: &[u8], bytes: Vec<u8>) -> Packed {
    let media_type = ferry_oci::media_type::OCI_LAYER_ZSTD.into();
    Packed {
        descriptor: Descriptor::new(media_type, bytes.len() as u64, Digest::of(&bytes)),
        diff_id: DiffId(Digest::of(tar)),
        bytes,
    }
}

#[test]
fn a_damaged_blob_is_replaced_when_it_comes_again() {
    let fixture = Fixture::new();
    let digest = fixture.store.content().write(b"whole").unwrap();
    fs::write(fixture.store.content().path(&digest), "").unwrap();
    fixture.store.content().write(b"whole").unwrap();
    assert_eq!(fixture.store.content().read(&digest, 10).unwrap(), b"whole");
}

#[test]
fn nothing_stays_of_what_is_not_what_was_promised() {
    if !is_root("nothing_stays_of_what_is_not_what_was_promised") {
        return;
    }
    let tar = simple("f", &[5; 300_000]);
    let good = || pack(&tar, Packing::Gzip);
    let described = |size, bytes: &[u8]| {
        let media_type = good().descriptor.media_type().clone();
        Descriptor::new(media_type, size, Digest::of(bytes))
    };
    let len = good().bytes.len() as u64;
    let mut wrong_diff_id = good();
    wrong_diff_id.diff_id = DiffId(Digest::of(b"other"));
    let mut wrong_digest = good();
    wrong_digest.descriptor = described(len, b"other");
    let mut too_long = good();
    too_long.descriptor = described(len - 1, &too_long.bytes);
    let mut too_short = good();
    too_short.descriptor = described(len + 1, &too_short.bytes);
    let mut cut = good();
    cut.bytes.truncate(cut.bytes.len() - 10);
    cut.descriptor = described(cut.bytes.len() as u64, &cut.bytes);
    let mut flipped = good();
    let middle = flipped.bytes.len() / 2;
    flipped.bytes[middle] ^= 0x10;
    for (name, packed, expected) in [
        ("wrong DiffID", wrong_diff_id, "DiffID"),
        ("wrong digest", wrong_digest, "digest"),
        ("too long", too_long, "bytes where"),
        ("too short", too_short, "bytes where"),
        ("cut", cut, "gzip"),
        ("flipped bit", flipped, ""),
    ] {
        let fixture = Fixture::new();
        let error = fixture.import(&packed).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
        fixture.assert_tidy();
        assert!(fixture.store.content().list().unwrap().is_empty(), "{name}");
        assert!(fixture.store.layers().list().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn a_failing_stream_is_told_from_bad_content() {
    struct Reset(Vec<u8>);
    impl Read for Reset {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let len = self.0.len().min(buffer.len());
            buffer[..len].copy_from_slice(&self.0[..len]);
            self.0.drain(..len);
            Ok(len)
        }
    }
    let packed = pack(&simple("f", &[5; 300_000]), Packing::Gzip);
    for len in [0, 1, 100, packed.bytes.len() - 1] {
        let fixture = Fixture::new();
        let stream = Reset(packed.bytes[..len].to_vec());
        let layers = fixture.store.layers();
        let result = layers.import(stream, &packed.descriptor, &packed.diff_id, &Limits::default());
        match result {
            Err(Error::Input(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
            other => panic!("after {len} bytes: {other:?}"),
        }
        fixture.assert_tidy();
    }
}

#[test]
fn metadata_is_kept_to_the_nanosecond() {
    if !is_root("metadata_is_kept_to_the_nanosecond") {
        return;
    }
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let tar = Tarball::new()
        .pax(&[("mtime", b"1234567890.987654321"), ("SCHILY.xattr.user.d", b"on")])
        .entry(Entry::new(b'5', b"dir/").mode(0o2750).owner(7, 8))
        .pax(&[
            ("mtime", b"-1.5"),
            ("uid", b"100000"),
            ("SCHILY.xattr.user.name", b"\0value\n"),
            ("SCHILY.xattr.security.capability", &capability),
        ])
        .entry(Entry::new(b'0', b"dir/file").mode(0o4711).data(b"x"))
        .pax(&[("mtime", b"5.25")])
        .entry(Entry::new(b'2', b"dir/link").link(b"nowhere").owner(3, 4))
        .entry(Entry::new(b'6', b"dir/fifo").mode(0o622).owner(5, 6))
        .entry(Entry::new(b'3', b"dir/tty").mode(0o620).device(5, 1))
        .hard_link("dir/same", "dir/file")
        .finish();
    let fixture = Fixture::new();
    let packed = fixture.layer(&tar).unwrap();
    let tree = fixture.tree(&packed);
    let facts = |name: &str| {
        let metadata = fs::symlink_metadata(tree.join(name)).unwrap();
        let mtime = (metadata.mtime(), metadata.mtime_nsec());
        (metadata.mode(), metadata.uid(), metadata.gid(), mtime)
    };
    assert_eq!(facts("dir"), (0o042_750, 7, 8, (1_234_567_890, 987_654_321)));
    assert_eq!(facts("dir/file"), (0o104_711, 100_000, 0, (-2, 500_000_000)));
    assert_eq!(facts("dir/link"), (0o120_777, 3, 4, (5, 250_000_000)));
    assert_eq!(facts("dir/fifo"), (0o010_622, 5, 6, (1_000_000_000, 0)));
    assert_eq!(facts("dir/tty"), (0o020_620, 0, 0, (1_000_000_000, 0)));
    let rdev = fs::metadata(tree.join("dir/tty")).unwrap().rdev();
    assert_eq!((rustix::fs::major(rdev), rustix::fs::minor(rdev)), (5, 1));
    assert_eq!(xattr(&tree.join("dir"), "user.d").unwrap(), b"on");
    assert_eq!(xattr(&tree.join("dir/file"), "user.name").unwrap(), b"\0value\n");
    let stored = xattr(&tree.join("dir/file"), "security.capability").unwrap();
    assert_eq!(stored, capability);
    let inode = |name: &str| fs::metadata(tree.join(name)).unwrap().ino();
    assert_eq!(inode("dir/file"), inode("dir/same"));
}

#[test]
fn the_umask_and_the_parents_group_change_nothing() {
    if !is_root("the_umask_and_the_parents_group_change_nothing") {
        return;
    }
    // The whole process has one umask, so another process is asked: the directory's mode is enough.
    let tar = Tarball::new()
        .entry(Entry::new(b'5', b"sgid/").mode(0o2777).owner(0, 42))
        .file("sgid/f", b"")
        .entry(Entry::new(b'5', b"sgid/d/").mode(0o700))
        .finish();
    let fixture = Fixture::new();
    let packed = fixture.layer(&tar).unwrap();
    let tree = fixture.tree(&packed);
    for name in ["sgid/f", "sgid/d"] {
        let metadata = fs::metadata(tree.join(name)).unwrap();
        assert_eq!(metadata.gid(), 0, "{name}");
        assert_eq!(metadata.mode() & 0o2000, 0, "{name}");
    }
}

#[test]
fn whiteouts_speak_of_lower_layers_only() {
    if !is_root("whiteouts_speak_of_lower_layers_only") {
        return;
    }
    let fixture = Fixture::new();
    let tree_of = |tar: Tarball| {
        let packed = fixture.layer(&tar.finish()).unwrap();
        fixture.tree(&packed)
    };
    let tree = tree_of(Tarball::new().whiteout("d/.wh.gone").whiteout(".wh.gone"));
    assert!(is_whiteout(&tree.join("d/gone")) && is_whiteout(&tree.join("gone")));

    for (name, tar) in [
        (
            "siblings first",
            Tarball::new()
                .dir("d/")
                .file("d/kept", b"1")
                .whiteout("d/.wh..wh..opq")
                .file("d/later", b"1"),
        ),
        (
            "opaque first",
            Tarball::new()
                .whiteout("d/.wh..wh..opq")
                .file("d/kept", b"2")
                .file("d/later", b"2")
                .dir("d/"),
        ),
    ] {
        let tree = tree_of(tar);
        assert_eq!(xattr(&tree.join("d"), OPAQUE).as_deref(), Some(&b"y"[..]), "{name}");
        assert!(tree.join("d/kept").exists() && tree.join("d/later").exists(), "{name}");
    }

    let tree = tree_of(Tarball::new().file("f", b"3").whiteout(".wh.f"));
    assert_eq!(fs::read(tree.join("f")).unwrap(), b"3");
    let tree = tree_of(Tarball::new().whiteout(".wh.f").file("f", b"4"));
    assert_eq!(fs::read(tree.join("f")).unwrap(), b"4");
    for tar in [
        Tarball::new().whiteout(".wh.d").dir("d/").file("d/f", b"5"),
        Tarball::new().dir("d/").file("d/f", b"6").whiteout(".wh.d"),
        Tarball::new().whiteout(".wh.d").file("d/f", b"7"),
    ] {
        let tree = tree_of(tar);
        assert!(tree.join("d/f").exists());
        assert_eq!(xattr(&tree.join("d"), OPAQUE).as_deref(), Some(&b"y"[..]));
    }
}

#[test]
fn later_entries_replace_earlier_ones_of_any_kind() {
    if !is_root("later_entries_replace_earlier_ones_of_any_kind") {
        return;
    }
    type Add = fn(Tarball) -> Tarball;
    let kinds: [(&str, Add); 5] = [
        ("file", |tar| tar.file("x", b"data")),
        ("directory", |tar| tar.dir("x/").file("x/below", b"")),
        ("link", |tar| tar.symlink("x", "target")),
        ("fifo", |tar| tar.entry(Entry::new(b'6', b"x"))),
        ("hard link", |tar| tar.file("other", b"o").hard_link("x", "other")),
    ];
    for (first, add_first) in kinds {
        for (second, add_second) in kinds {
            let fixture = Fixture::new();
            let both = add_second(add_first(Tarball::new())).finish();
            let alone = add_second(Tarball::new()).finish();
            let both = fixture.tree(&fixture.layer(&both).unwrap()).join("x");
            let alone = fixture.tree(&fixture.layer(&alone).unwrap()).join("x");
            let modes = [&both, &alone].map(|path| fs::symlink_metadata(path).unwrap().mode());
            assert_eq!(modes[0], modes[1], "{second} over {first}");
            let is_link = fs::symlink_metadata(&both).unwrap().is_symlink();
            if !is_link && second != "fifo" {
                assert_eq!(
                    inventory(&both).into_keys().collect::<Vec<_>>(),
                    inventory(&alone).into_keys().collect::<Vec<_>>(),
                    "{second} over {first}"
                );
            }
        }
    }
}

#[test]
fn threads_that_import_the_same_layer_all_succeed() {
    if !is_root("threads_that_import_the_same_layer_all_succeed") {
        return;
    }
    let fixture = Fixture::new();
    let tar = (0..200).fold(Tarball::new(), |tar, index| {
        tar.file(&format!("d{}/f{index}", index % 10), &[index as u8; 3000])
    });
    let tar = tar.finish();
    let packings = [Packing::Gzip, Packing::Zstd, Packing::Plain];
    let packed: Vec<_> = packings.iter().map(|packing| pack(&tar, *packing)).collect();
    std::thread::scope(|scope| {
        for index in 0..12 {
            let packed = &packed[index % packed.len()];
            let fixture = &fixture;
            scope.spawn(move || fixture.import(packed).unwrap());
        }
    });
    assert_eq!(fixture.store.layers().list().unwrap(), [packed[0].diff_id]);
    assert_eq!(fixture.store.content().list().unwrap().len(), 3);
    fixture.assert_tidy();
}

#[test]
fn a_tar_that_nobody_described_becomes_a_layer_and_a_gzip_blob() {
    if !is_root("a_tar_that_nobody_described_becomes_a_layer_and_a_gzip_blob") {
        return;
    }
    let tar = Tarball::new().file("big", &[9; 3_000_000]).finish();
    let mut descriptors = Vec::new();
    for input in [tar.clone(), gzip(&tar), zstd::encode_all(&tar[..], 3).unwrap()] {
        let fixture = Fixture::new();
        let layers = fixture.store.layers();
        let diff_id = layers.unpack(&input[..], None, &Limits::default()).unwrap();
        assert_eq!(diff_id, DiffId(Digest::of(&tar)));
        let descriptor = layers.compress(&diff_id).unwrap();
        let blob = Digest::try_from(descriptor.digest()).unwrap();
        let mut unpacked = Vec::new();
        flate2::read::MultiGzDecoder::new(fixture.store.content().open(&blob).unwrap())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert!(unpacked == tar);
        descriptors.push(descriptor);
        let other = DiffId(Digest::of(b"other"));
        let refused = layers.unpack(&simple("x", b"")[..], Some(&other), &Limits::default());
        assert!(matches!(refused, Err(Error::DiffIdMismatch { .. })));
        assert_eq!(layers.list().unwrap(), [diff_id]);
        fixture.assert_tidy();
    }
    assert!(descriptors.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn compressing_a_pulled_layer_does_not_depend_on_how_it_was_pulled() {
    if !is_root("compressing_a_pulled_layer_does_not_depend_on_how_it_was_pulled") {
        return;
    }
    let tar = simple("f", &[1; 10_000]);
    let compressed: Vec<_> = [Packing::Gzip, Packing::Zstd]
        .into_iter()
        .map(|packing| {
            let fixture = Fixture::new();
            let packed = pack(&tar, packing);
            fixture.import(&packed).unwrap();
            fixture.store.layers().compress(&packed.diff_id).unwrap()
        })
        .collect();
    assert_eq!(compressed[0], compressed[1]);
}

#[test]
fn a_layer_without_its_blob_says_so() {
    if !is_root("a_layer_without_its_blob_says_so") {
        return;
    }
    let fixture = Fixture::new();
    // Padded as many programs do and Ferry does not, so that the tree does not give it again.
    let tar = [simple("f", b"x"), vec![0; 8192]].concat();
    let packed = fixture.layer(&tar).unwrap();
    let blob = Digest::try_from(packed.descriptor.digest()).unwrap();
    fs::remove_file(fixture.store.content().path(&blob)).unwrap();
    let result = fixture.store.layers().write_tar(&packed.diff_id, io::sink());
    assert!(matches!(result, Err(Error::BlobMissing(missing)) if missing == blob));
    let missing = DiffId(Digest::of(b"none"));
    assert!(matches!(
        fixture.store.layers().path(&missing),
        Err(Error::LayerMissing(_))
    ));
}

#[test]
fn an_archive_is_laid_upon_files_that_are_there() {
    if !is_root("an_archive_is_laid_upon_files_that_are_there") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().join("top");
    fs::create_dir_all(top.join("usr/lib")).unwrap();
    fs::write(top.join("usr/lib/old"), "old").unwrap();
    fs::write(top.join("replaced"), "old").unwrap();
    fs::create_dir(top.join("emptied")).unwrap();
    fs::write(top.join("emptied/f"), "old").unwrap();
    std::os::unix::fs::symlink("/usr/lib", top.join("lib")).unwrap();
    std::os::unix::fs::symlink("../../..", top.join("up")).unwrap();
    let before = fs::metadata(top.join("usr")).unwrap();
    let tar = Tarball::new()
        .file("lib/new", b"new")
        .file("up/file", b"inside")
        .file("replaced", b"new")
        .file("emptied", b"a file now")
        .file("made/.wh.name", b"literal")
        .entry(Entry::new(b'5', b"usr/lib/").mode(0o711).owner(3, 3))
        .finish();
    let open = || std::os::fd::OwnedFd::from(fs::File::open(&top).unwrap());
    let literal = ferry_store::layer::Whiteouts::Literal;
    ferry_store::layer::unpack(&tar[..], open(), literal, &Limits::default()).unwrap();
    let read = |name: &str| fs::read_to_string(top.join(name)).unwrap();
    assert_eq!((read("usr/lib/new"), read("usr/lib/old")), ("new".into(), "old".into()));
    assert_eq!((read("file"), read("replaced")), ("inside".into(), "new".into()));
    assert_eq!(
        (read("emptied"), read("made/.wh.name")),
        ("a file now".into(), "literal".into())
    );
    let lib = fs::metadata(top.join("usr/lib")).unwrap();
    assert_eq!((lib.mode() & 0o7777, lib.uid()), (0o711, 3));
    let usr = fs::metadata(top.join("usr")).unwrap();
    assert_eq!((usr.mode(), usr.mtime_nsec()), (before.mode(), before.mtime_nsec()));
    assert_eq!(fs::metadata(top.join("made")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let escaping = Tarball::new().file("../x", b"").finish();
    let result = ferry_store::layer::unpack(&escaping[..], open(), literal, &Limits::default());
    assert!(result.is_err());
}
