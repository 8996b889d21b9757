//! Hostile layers: each is refused, or contained in its own directory, and the host stays untouched.

use std::fs;
use std::path::Path;

use ferry_store::{Error, Limits};

use crate::fixture::{Fixture, Packing, inventory, is_root, is_whiteout, pack, xattr};
use crate::tarball::{Entry, Tarball};

/// What must become of a layer.
enum Expected {
    /// An error whose text has this in it, and nothing left.
    Refused(&'static str),
    /// Unpacked, and this holds of its directory.
    Contained(fn(&Path)),
}

use Expected::{Contained, Refused};

struct Case {
    name: &'static str,
    tar: Vec<u8>,
    expected: Expected,
}

fn case(name: &'static str, tar: Tarball, expected: Expected) -> Case {
    Case {
        name,
        tar: tar.finish(),
        expected,
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn names() -> Vec<Case> {
    vec![
        case(
            "dot-dot",
            Tarball::new().file("../outside/file", b"x"),
            Refused("leads out"),
        ),
        case(
            "dot-dot behind a folder",
            Tarball::new().dir("a/").file("a/../../outside/file", b"x"),
            Refused("leads out"),
        ),
        case(
            "dot-dot that stays inside",
            Tarball::new().file("a/../b", b"x"),
            Contained(|tree| assert_eq!(text(&tree.join("b")), "x")),
        ),
        case(
            "absolute",
            Tarball::new().file("/etc/passwd", b"x"),
            Contained(|tree| assert_eq!(text(&tree.join("etc/passwd")), "x")),
        ),
        case(
            "slashes and dots",
            Tarball::new().file("//.//a//./b", b"x"),
            Contained(|tree| assert_eq!(text(&tree.join("a/b")), "x")),
        ),
        case("empty name", Tarball::new().file("", b"x"), Refused("not a file name")),
        case(
            "a file in the place of the top",
            Tarball::new().file(".", b"x"),
            Refused("not a file name"),
        ),
        case(
            "a link in the place of the top",
            Tarball::new().symlink("./", "/etc"),
            Refused("not a file name"),
        ),
        case(
            "GNU long name with dot-dot",
            Tarball::new().long_name(b"../../outside/file").file("innocent", b"x"),
            Refused("leads out"),
        ),
        case(
            "PAX path with dot-dot",
            Tarball::new()
                .pax(&[("path", b"../../outside/file")])
                .file("innocent", b"x"),
            Refused("leads out"),
        ),
        case(
            "PAX path with a NUL",
            Tarball::new().pax(&[("path", b"a\0../../b")]).file("innocent", b"x"),
            Refused("PAX"),
        ),
        case(
            "ustar prefix with dot-dot",
            Tarball::new().entry(Entry::new(b'0', b"outside/file").bytes(345, b"../..")),
            Refused("leads out"),
        ),
        case(
            "a name longer than any",
            Tarball::new().long_name(&[b'n'; 5000]).file("innocent", b"x"),
            Refused("longer than"),
        ),
        case(
            "a component longer than any",
            Tarball::new().long_name(&[b'n'; 300]).file("innocent", b"x"),
            Refused("File name too long"),
        ),
        case(
            "a path deeper than any",
            Tarball::new().long_name(&b"d/".repeat(2000)).file("innocent", b"x"),
            Refused("longer than"),
        ),
        case(
            "names that are no UTF-8",
            Tarball::new().entry(Entry::new(b'0', b"\xff\xfe\n").data(b"x")),
            Contained(|tree| assert_eq!(fs::read_dir(tree).unwrap().count(), 1)),
        ),
    ]
}

fn links() -> Vec<Case> {
    vec![
        case(
            "through an absolute link",
            Tarball::new().symlink("link", "/outside").file("link/file", b"x"),
            Contained(|tree| assert_eq!(text(&tree.join("outside/file")), "x")),
        ),
        case(
            "through a relative link",
            Tarball::new()
                .symlink("link", "../../../outside")
                .file("link/file", b"x"),
            Contained(|tree| assert_eq!(text(&tree.join("outside/file")), "x")),
        ),
        case(
            "through a chain of links",
            Tarball::new()
                .dir("a/")
                .symlink("a/up", "../..")
                .symlink("b", "a/up/a/up/outside")
                .file("b/file", b"x"),
            Contained(|tree| assert_eq!(text(&tree.join("outside/file")), "x")),
        ),
        case(
            "through a loop of links",
            Tarball::new().symlink("a", "b").symlink("b", "a").file("a/file", b"x"),
            Refused("too many symbolic links"),
        ),
        case(
            "through a link of the kernel's",
            Tarball::new()
                .symlink("self", "/proc/self/root/outside")
                .file("self/file", b"x"),
            Contained(|tree| {
                assert_eq!(text(&tree.join("proc/self/root/outside/file")), "x");
            }),
        ),
        case(
            "over a link, not through it",
            Tarball::new().symlink("link", "/outside/file").file("link", b"x"),
            Contained(|tree| {
                assert!(tree.join("link").symlink_metadata().unwrap().is_file());
            }),
        ),
        case(
            "a directory over a link",
            Tarball::new()
                .symlink("link", "/outside")
                .dir("link/")
                .file("link/file", b"x"),
            Contained(|tree| {
                assert!(tree.join("link").symlink_metadata().unwrap().is_dir());
            }),
        ),
        case(
            "a link over a directory that was used",
            Tarball::new()
                .dir("d/")
                .file("d/first", b"x")
                .symlink("d", "/outside")
                .file("d/file", b"y"),
            Contained(|tree| {
                assert_eq!(text(&tree.join("outside/file")), "y");
                assert!(!tree.join("outside/first").exists());
            }),
        ),
        case(
            "a parent that is a file",
            Tarball::new().file("a", b"x").file("a/b", b"y"),
            Refused("not a directory"),
        ),
        case(
            "hard link out, absolute",
            Tarball::new().hard_link("stolen", "/outside/file"),
            Refused("not in the layer"),
        ),
        case(
            "hard link out, relative",
            Tarball::new().hard_link("stolen", "../../../outside/file"),
            Refused("not in the layer"),
        ),
        case(
            "hard link out, through a link",
            Tarball::new()
                .symlink("link", "../../../outside")
                .hard_link("stolen", "link/file"),
            Refused("not in the layer"),
        ),
        case(
            "write through a hard link to a link",
            Tarball::new()
                .symlink("link", "/outside/file")
                .hard_link("hard", "link")
                .file("hard", b"x"),
            Contained(|tree| assert_eq!(text(&tree.join("hard")), "x")),
        ),
        case(
            "hard link to a directory",
            Tarball::new().dir("d/").hard_link("hard", "d"),
            Refused("hard link"),
        ),
        case(
            "hard link to the top",
            Tarball::new().hard_link("hard", "/"),
            Refused("not in the layer"),
        ),
        case(
            "hard link to itself",
            Tarball::new().file("a", b"x").hard_link("a", "./a"),
            Contained(|tree| assert_eq!(text(&tree.join("a")), "x")),
        ),
        case(
            "hard link to a whiteout",
            Tarball::new().whiteout(".wh.a").hard_link("b", "a"),
            Refused("not in the layer"),
        ),
        case(
            "symbolic link without a target",
            Tarball::new().symlink("a", ""),
            Refused("cannot make a link"),
        ),
    ]
}

fn whiteouts() -> Vec<Case> {
    vec![
        case(
            "whiteout through a link",
            Tarball::new().symlink("link", "/outside").whiteout("link/.wh.file"),
            Contained(|tree| assert!(is_whiteout(&tree.join("outside/file")))),
        ),
        case(
            "opaque whiteout through a link",
            Tarball::new()
                .symlink("link", "../../outside")
                .whiteout("link/.wh..wh..opq"),
            Contained(|tree| {
                let opaque = xattr(&tree.join("outside"), "trusted.overlay.opaque");
                assert_eq!(opaque.as_deref(), Some(&b"y"[..]));
            }),
        ),
        case(
            "whiteout of dot-dot",
            Tarball::new().whiteout("a/.wh..."),
            Refused("not a file name"),
        ),
        case(
            "whiteout of dot",
            Tarball::new().whiteout("a/.wh.."),
            Refused("not a file name"),
        ),
        case(
            "whiteout of nothing",
            Tarball::new().whiteout(".wh."),
            Refused("not a file name"),
        ),
        case(
            "a folder named as a whiteout",
            Tarball::new().file(".wh.a/b", b"x"),
            Refused("named as a whiteout"),
        ),
        case(
            "whiteout's bookkeeping of aufs",
            Tarball::new().whiteout(".wh..wh.plnk").file("a", b"x"),
            Contained(|tree| assert_eq!(fs::read_dir(tree).unwrap().count(), 1)),
        ),
        case(
            "a whiteout that is a directory entry",
            Tarball::new().dir(".wh.a/"),
            Contained(|tree| assert!(is_whiteout(&tree.join("a")))),
        ),
        case(
            "a whiteout that is a link entry",
            Tarball::new().symlink(".wh.a", "/outside"),
            Contained(|tree| assert!(is_whiteout(&tree.join("a")))),
        ),
        case(
            "whiteout in disguise",
            Tarball::new().entry(Entry::new(b'3', b"a").device(0, 0)),
            Refused("whiteout in disguise"),
        ),
        case(
            "overlay attribute",
            Tarball::new()
                .pax(&[("SCHILY.xattr.trusted.overlay.opaque", b"y")])
                .dir("d/"),
            Refused("steer the overlay"),
        ),
        case(
            "overlay redirect",
            Tarball::new()
                .pax(&[("SCHILY.xattr.trusted.overlay.redirect", b"/../../etc")])
                .dir("d/"),
            Refused("steer the overlay"),
        ),
        case(
            "overlay metacopy on a file",
            Tarball::new()
                .pax(&[("SCHILY.xattr.trusted.overlay.metacopy", b"")])
                .file("f", b"x"),
            Refused("steer the overlay"),
        ),
        case(
            "overlay attribute of users",
            Tarball::new()
                .pax(&[("SCHILY.xattr.user.overlay.whiteout", b"y")])
                .file("f", b"x"),
            Refused("steer the overlay"),
        ),
        case(
            "overlay attribute on a hard link",
            Tarball::new()
                .file("f", b"x")
                .pax(&[("SCHILY.xattr.user.overlay.opaque", b"y")])
                .hard_link("g", "f"),
            Refused("steer the overlay"),
        ),
    ]
}

fn formats() -> Vec<Case> {
    let truncated = |bytes: Vec<u8>| Tarball::new().raw(&bytes).unfinished();
    let cut = |name, tar: Vec<u8>, expected| Case { name, tar, expected };
    vec![
        case(
            "sparse, old GNU",
            Tarball::new().entry(Entry::new(b'S', b"sparse")),
            Refused("sparse"),
        ),
        case(
            "sparse, PAX",
            Tarball::new()
                .pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")])
                .file("f", b"x"),
            Refused("sparse"),
        ),
        case(
            "unknown type",
            Tarball::new().entry(Entry::new(b'Z', b"what")),
            Refused("type 'Z'"),
        ),
        case(
            "PAX record longer than its header",
            Tarball::new()
                .entry(Entry::new(b'x', b"p").data(b"99 path=a\n"))
                .file("f", b""),
            Refused("PAX"),
        ),
        case(
            "PAX record of length zero",
            Tarball::new()
                .entry(Entry::new(b'x', b"p").data(b"0 path=a\n"))
                .file("f", b""),
            Refused("PAX"),
        ),
        case(
            "PAX record with a huge length",
            Tarball::new()
                .entry(Entry::new(b'x', b"p").data(b"18446744073709551616 path=a\n"))
                .file("f", b""),
            Refused("PAX"),
        ),
        case(
            "PAX size that is no number",
            Tarball::new().pax(&[("size", b"-1")]).file("f", b"x"),
            Refused("PAX"),
        ),
        case(
            "PAX size beyond the archive",
            Tarball::new().pax(&[("size", b"4611686018427387904")]).file("f", b"x"),
            Refused("limit"),
        ),
        case(
            "PAX header larger than any",
            Tarball::new().entry(Entry::new(b'x', b"p").size(1 << 33)),
            Refused("larger than"),
        ),
        case(
            "long name larger than any",
            Tarball::new().entry(Entry::new(b'L', b"p").size(1 << 30)),
            Refused("larger than"),
        ),
        case(
            "owner that means nobody changes",
            Tarball::new().pax(&[("uid", b"4294967295")]).file("f", b"x"),
            Refused("uid"),
        ),
        case(
            "owner beyond 32 bits",
            Tarball::new().pax(&[("gid", b"4294967296")]).file("f", b"x"),
            Refused("gid"),
        ),
        case(
            "negative size in base 256",
            Tarball::new().entry(Entry::new(b'0', b"f").bytes(124, &[0xff; 12])),
            Refused("bad size"),
        ),
        case(
            "size in base 256 beyond 64 bits",
            Tarball::new().entry(Entry::new(b'0', b"f").bytes(124, &[0xbf; 12])),
            Refused("bad size"),
        ),
        case(
            "octal with letters",
            Tarball::new().entry(Entry::new(b'0', b"f").bytes(100, b"0000rwx\0")),
            Refused("bad mode"),
        ),
        cut(
            "wrong checksum",
            {
                let mut tar = Tarball::new().file("f", b"x").finish();
                tar[0] = b'g';
                tar
            },
            Refused("checksum"),
        ),
        cut(
            "cut in a file",
            truncated(Tarball::new().file("f", &[1; 2000]).finish()[..1000].to_vec()),
            Refused("unexpected end"),
        ),
        cut(
            "cut in a header",
            truncated(Tarball::new().file("f", b"x").finish()[..200].to_vec()),
            Refused("unexpected end"),
        ),
        cut("no tar at all", vec![b'#'; 4096], Refused("checksum")),
        case(
            "directory with data",
            Tarball::new().entry(Entry::new(b'5', b"d/").size(512)).file("f", b"x"),
            Contained(|tree| assert_eq!(text(&tree.join("f")), "x")),
        ),
        case(
            "a device of the host's disk",
            Tarball::new().entry(Entry::new(b'4', b"sda").device(8, 0).mode(0o666)),
            Contained(|tree| assert!(tree.join("sda").symlink_metadata().is_ok())),
        ),
        case(
            "set-user-id file kept as it is",
            Tarball::new().entry(Entry::new(b'0', b"su").mode(0o6755).owner(1000, 1000)),
            Contained(|tree| {
                use std::os::unix::fs::MetadataExt;
                let metadata = tree.join("su").metadata().unwrap();
                assert_eq!(metadata.mode() & 0o7777, 0o6755);
                assert_eq!(metadata.uid(), 1000);
            }),
        ),
    ]
}

#[test]
fn hostile_layers_are_refused_or_contained() {
    if !is_root("hostile_layers_are_refused_or_contained") {
        return;
    }
    let cases = [names(), links(), whiteouts(), formats()];
    for case in cases.into_iter().flatten() {
        for packing in [Packing::Gzip, Packing::Plain] {
            check(&case, packing);
        }
    }
}

fn check(case: &Case, packing: Packing) {
    let name = case.name;
    let fixture = Fixture::new();
    let outside = fixture.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "untouched").unwrap();
    let before = inventory(&outside);
    let packed = pack(&case.tar, packing);
    let result = fixture.import(&packed);
    assert_eq!(before, inventory(&outside), "{name}: the host was touched");
    fixture.assert_tidy();
    match (&case.expected, result) {
        (Refused(reason), Err(error)) => {
            assert!(
                error.to_string().contains(reason),
                "{name}: expected {reason:?} in {error}"
            );
            assert!(fixture.store.content().list().unwrap().is_empty(), "{name}");
            assert!(fixture.store.layers().list().unwrap().is_empty(), "{name}");
        }
        (Refused(_), Ok(())) => panic!("{name}: was not refused"),
        (Contained(holds), Ok(())) => holds(&fixture.tree(&packed)),
        (Contained(_), Err(error)) => panic!("{name}: {error}"),
    }
}

/// A tar that nobody wants to hold in memory.
struct Zeros {
    head: Vec<u8>,
    left: u64,
}

impl std::io::Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if !self.head.is_empty() {
            let len = self.head.len().min(buffer.len());
            buffer[..len].copy_from_slice(&self.head[..len]);
            self.head.drain(..len);
            return Ok(len);
        }
        let len = (buffer.len() as u64).min(self.left) as usize;
        buffer[..len].fill(0);
        self.left -= len as u64;
        Ok(len)
    }
}

#[test]
fn bombs_are_refused() {
    if !is_root("bombs_are_refused") {
        return;
    }
    const SIZE: u64 = Limits::FREE_BYTES + (128 << 20);
    let bomb = Zeros {
        head: Tarball::new().entry(Entry::new(b'0', b"zeros").size(SIZE)).unfinished(),
        left: SIZE + 1024,
    };
    let compressed = zstd::encode_all(bomb, 1).unwrap();
    let mut packed = pack(b"", Packing::Zstd);
    packed.descriptor = ferry_oci::Descriptor::new(
        ferry_oci::media_type::OCI_LAYER_ZSTD.into(),
        compressed.len() as u64,
        ferry_oci::Digest::of(&compressed),
    );
    packed.bytes = compressed;
    let fixture = Fixture::new();
    let error = fixture.import(&packed).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    fixture.assert_tidy();
}

#[test]
fn limits_hold() {
    if !is_root("limits_hold") {
        return;
    }
    let many = (0..20).fold(Tarball::new(), |tar, index| tar.dir(&format!("d{index}/")));
    let checks: [(&str, Limits, Vec<u8>); 4] = [
        (
            "entries",
            Limits {
                entries: 10,
                ..Limits::default()
            },
            many.clone().finish(),
        ),
        (
            "unpacked bytes",
            Limits {
                unpacked_bytes: 5000,
                ..Limits::default()
            },
            Tarball::new().file("f", &[1; 6000]).finish(),
        ),
        (
            "folders",
            Limits {
                path_depth: 3,
                ..Limits::default()
            },
            Tarball::new().file("a/b/c/d/e", b"").finish(),
        ),
        (
            "directory names",
            Limits {
                directory_bytes: 1000,
                ..Limits::default()
            },
            many.finish(),
        ),
    ];
    for (what, limits, tar) in checks {
        let fixture = Fixture::new();
        let packed = pack(&tar, Packing::Gzip);
        let layers = fixture.store.layers();
        let result = layers.import(&packed.bytes[..], &packed.descriptor, &packed.diff_id, &limits);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
        fixture.assert_tidy();
    }
}

/// Deep links cannot push an entry deeper than the limit, and a link may not grow a path for ever.
#[test]
fn links_do_not_lift_the_depth_limit() {
    if !is_root("links_do_not_lift_the_depth_limit") {
        return;
    }
    let deep = "d/".repeat(40);
    let mut tar = Tarball::new().file(&format!("{deep}f"), b"").symlink("l0", &deep);
    for index in 1..30 {
        let link = format!("{deep}l{index}");
        tar = tar.long_name(link.as_bytes()).symlink("x", &format!("/{deep}"));
    }
    let through = format!("l0/{}", deep.repeat(20));
    tar = tar.long_name(format!("{through}file").as_bytes()).file("x", b"");
    let fixture = Fixture::new();
    let error = fixture.layer(&tar.finish()).map(drop).unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}
