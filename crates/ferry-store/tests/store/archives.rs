//! Archives: what Ferry saves others load, and what others save Ferry loads.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use ferry_oci::{Digest, Platform, Reference};
use ferry_store::archive::{SaveOptions, load, save};
use ferry_store::{Error, Limits, Presence};
use serde_json::json;

use crate::fixture::{Fixture, Packing, gzip, is_root, pack, simple};
use crate::tarball::Tarball;

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

/// The files of an archive, read by another reader.
fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut data = Vec::new();
            entry.read_to_end(&mut data).unwrap();
            (name, data)
        })
        .collect()
}

fn saved(fixture: &Fixture, name: &str, options: &SaveOptions) -> Vec<u8> {
    let target = fixture.store.images().get(&reference(name)).unwrap().target;
    let mut archive = Vec::new();
    save(
        &fixture.store,
        &[(Some(reference(name)), target)],
        options,
        &mut archive,
    )
    .unwrap();
    archive
}

/// A store with an image `a:1` for two platforms that share a layer.
fn two_platforms() -> Fixture {
    let fixture = Fixture::new();
    let shared = fixture.layer(&simple("shared", &[1; 50_000])).unwrap();
    let own = ["amd64", "arm64"].map(|name| fixture.layer(&simple("own", name.as_bytes())).unwrap());
    let amd64 = fixture.manifest(&[&shared, &own[0]], "linux/amd64");
    let arm64 = fixture.manifest(&[&shared, &own[1]], "linux/arm64");
    let index = fixture.index(&[(&amd64, "linux/amd64"), (&arm64, "linux/arm64")]);
    fixture.store.images().put(&reference("a:1"), index).unwrap();
    fixture
}

#[test]
fn what_is_saved_is_loaded_with_its_digests() {
    if !is_root("what_is_saved_is_loaded_with_its_digests") {
        return;
    }
    let fixture = two_platforms();
    let archive = saved(&fixture, "a:1", &SaveOptions::default());
    assert!(archive == saved(&fixture, "a:1", &SaveOptions::default()));
    let target = fixture.store.images().get(&reference("a:1")).unwrap().target;
    for input in [
        archive.clone(),
        gzip(&archive),
        zstd::encode_all(&archive[..], 1).unwrap(),
    ] {
        let other = Fixture::new();
        let loaded = load(&other.store, &input[..], &Limits::default()).unwrap();
        assert_eq!(loaded.len(), 1);
        assert_eq!(loaded[0].reference, Some(reference("a:1")));
        assert_eq!(loaded[0].target.digest(), target.digest());
        let record = other.store.images().get(&reference("a:1")).unwrap();
        assert_eq!(record.target.digest(), target.digest());
        let entries = other.store.platforms(&record.target).unwrap();
        assert_eq!(entries.len(), 2);
        assert!(entries.iter().all(|entry| entry.presence == Presence::Complete));
        for entry in entries {
            let image = other.store.image(&record.target, &entry.platform).unwrap();
            assert!(image.diff_ids().iter().all(|id| other.store.layers().has(id)));
        }
        assert!(archive == saved(&other, "a:1", &SaveOptions::default()));
        other.assert_tidy();
    }
}

#[test]
fn some_platforms_can_be_saved() {
    if !is_root("some_platforms_can_be_saved") {
        return;
    }
    let fixture = two_platforms();
    let arm64: Platform = "linux/arm64".parse().unwrap();
    let options = SaveOptions {
        platforms: vec![arm64.clone()],
    };
    let archive = saved(&fixture, "a:1", &options);
    assert!(archive.len() < saved(&fixture, "a:1", &SaveOptions::default()).len());
    let other = Fixture::new();
    let loaded = load(&other.store, &archive[..], &Limits::default()).unwrap();
    let presence: Vec<_> = other
        .store
        .platforms(&loaded[0].target)
        .unwrap()
        .into_iter()
        .map(|entry| entry.presence)
        .collect();
    assert_eq!(presence, [Presence::Absent, Presence::Complete]);
    assert!(other.store.image(&loaded[0].target, &arm64).is_ok());
    // A subset is saved again as the subset that it is.
    assert!(archive == saved(&other, "a:1", &SaveOptions::default()));
    let missing = SaveOptions {
        platforms: vec!["linux/s390x".parse().unwrap()],
    };
    let result = save(
        &fixture.store,
        &[(None, loaded[0].target.clone())],
        &missing,
        Vec::new(),
    );
    assert!(matches!(result, Err(Error::PlatformMissing { .. })));
}

#[test]
fn the_archive_has_dockers_shape() {
    if !is_root("the_archive_has_dockers_shape") {
        return;
    }
    let fixture = two_platforms();
    let files = files(&saved(&fixture, "a:1", &SaveOptions::default()));
    let json = |name: &str| -> serde_json::Value { serde_json::from_slice(&files[name]).unwrap() };
    assert_eq!(json("oci-layout")["imageLayoutVersion"], "1.0.0");
    let annotations = &json("index.json")["manifests"][0]["annotations"];
    assert_eq!(annotations["io.containerd.image.name"], "docker.io/library/a:1");
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "1");
    let entry = &json("manifest.json")[0];
    assert_eq!(entry["RepoTags"][0], "a:1");
    assert_eq!(entry["Layers"].as_array().unwrap().len(), 2);
    assert!(files.contains_key(entry["Config"].as_str().unwrap()));
    assert!(json("repositories")["a"]["1"].is_string());
    for (name, data) in &files {
        if let Some(hex) = name.strip_prefix("blobs/sha256/") {
            assert_eq!(Digest::of(data).hex(), hex);
        }
    }
}

/// Archives as `docker save` made them before 25, and as Podman and Skopeo make them.
fn docker_archive(layers: &[&[u8]], tags: &[&str], link_second: bool) -> Tarball {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = config.to_string();
    let config_name = format!("{}.json", Digest::of(config.as_bytes()).hex());
    let mut tar = Tarball::new();
    let mut names = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let name = format!("l{index}/layer.tar");
        tar = tar
            .dir(&format!("l{index}/"))
            .file(&format!("l{index}/VERSION"), b"1.0");
        tar = if index == 1 && link_second {
            tar.symlink(&name, "../l0/layer.tar")
        } else {
            tar.file(&name, layer)
        };
        names.push(name);
    }
    let manifest = json!([{"Config": config_name, "RepoTags": tags, "Layers": names}]);
    tar.long_name(config_name.as_bytes())
        .file("config", config.as_bytes())
        .file("manifest.json", manifest.to_string().as_bytes())
        .file("repositories", b"{}")
}

#[test]
fn dockers_old_archives_are_loaded() {
    if !is_root("dockers_old_archives_are_loaded") {
        return;
    }
    let (a, b) = (simple("a", &[1; 9000]), simple("b", b"b"));
    let fixture = Fixture::new();
    let archive = docker_archive(&[&a, &b], &["example.com/x/y:z", "other"], false).finish();
    let loaded = load(&fixture.store, &archive[..], &Limits::default()).unwrap();
    let names: Vec<_> = loaded.iter().map(|image| image.reference.clone().unwrap()).collect();
    assert_eq!(names, [reference("example.com/x/y:z"), reference("other")]);
    let amd64: Platform = "linux/amd64".parse().unwrap();
    let image = fixture.store.image(&loaded[0].target, &amd64).unwrap();
    assert_eq!(image.diff_ids().map_digests(), [Digest::of(&a), Digest::of(&b)]);
    assert_eq!(image.presence(&fixture.store).unwrap(), Presence::Complete);
    fixture.assert_tidy();
    // The same archive is the same image everywhere.
    let other = Fixture::new();
    let again = load(&other.store, &gzip(&archive)[..], &Limits::default()).unwrap();
    assert_eq!(again, loaded);
    // A layer that occurs twice is a link in old archives.
    let twice = docker_archive(&[&a, &a], &["twice"], true).finish();
    let loaded = load(&fixture.store, &twice[..], &Limits::default()).unwrap();
    let image = fixture.store.image(&loaded[0].target, &amd64).unwrap();
    assert_eq!(image.layers.len(), 2);
    let raw = fixture.store.content().has(&Digest::of(&a));
    assert!(!raw, "the plain tar of a layer stayed as a blob");
}

trait MapDigests {
    fn map_digests(&self) -> Vec<Digest>;
}

impl MapDigests for Vec<ferry_oci::DiffId> {
    fn map_digests(&self) -> Vec<Digest> {
        self.iter().map(|diff_id| diff_id.0).collect()
    }
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    if !is_root("hostile_archives_are_refused_and_leave_nothing") {
        return;
    }
    let layer = simple("a", b"a");
    let good = two_platforms();
    let blob = Digest::of(b"not this");
    let misnamed = Tarball::new()
        .long_name(format!("blobs/sha256/{}", blob.hex()).as_bytes())
        .file("x", b"other")
        .file("index.json", br#"{"schemaVersion":2,"manifests":[]}"#);
    let missing_blob = {
        let target = good.store.images().get(&reference("a:1")).unwrap().target;
        let index = json!({"schemaVersion": 2, "manifests": [target]});
        Tarball::new().file("index.json", index.to_string().as_bytes())
    };
    let bad_reference = {
        let index = json!({"schemaVersion": 2, "manifests": []});
        drop(index);
        docker_archive(&[&layer], &["UPPER CASE!"], false)
    };
    let manifest = |text: &str| Tarball::new().file("manifest.json", text.as_bytes());
    let wrong_layer = {
        let mut tar = docker_archive(&[&layer], &["x"], false).unfinished();
        let start = tar.windows(layer.len()).position(|window| window == layer).unwrap();
        tar[start + 512] ^= 1;
        Tarball::new().raw(&tar)
    };
    for (name, tar, expected) in [
        ("misnamed blob", misnamed, "not what its name says"),
        ("missing blob", missing_blob, "not in the store"),
        ("bad reference", bad_reference, "reference"),
        ("no image", Tarball::new().file("etc/passwd", b"x"), "neither"),
        ("no JSON", manifest("{"), "manifest.json"),
        ("no list", manifest("{}"), "manifest.json"),
        (
            "names outside",
            manifest(r#"[{"Config":"../../etc/passwd","Layers":[]}]"#),
            "not in it",
        ),
        ("wrong layer", wrong_layer, "DiffID"),
        (
            "links in a circle",
            manifest(r#"[{"Config":"a","Layers":[]}]"#)
                .symlink("a", "b")
                .symlink("b", "a"),
            "not in it",
        ),
    ] {
        let fixture = Fixture::new();
        let result = load(&fixture.store, &tar.finish()[..], &Limits::default());
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(fixture.store.images().list().is_empty(), "{name}");
        fixture.assert_tidy();
        fixture.store.gc(&ferry_store::Roots::default()).unwrap();
        assert!(fixture.store.content().list().unwrap().is_empty(), "{name}");
        assert!(fixture.store.layers().list().unwrap().is_empty(), "{name}");
    }
    let cut = saved(&good, "a:1", &SaveOptions::default());
    let fixture = Fixture::new();
    let result = load(&fixture.store, &cut[..cut.len() / 2], &Limits::default());
    assert!(result.is_err());
    fixture.assert_tidy();
}

/// Runs a program; `None`, said aloud, if it is not installed.
fn run(test: &str, program: &str, arguments: &[&str]) -> Option<std::process::Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("{test}: skipped: needs {program} ({error})");
            None
        }
    }
}

fn succeeded(output: &std::process::Output) {
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn skopeo_reads_what_is_saved_and_writes_what_is_loaded() {
    let test = "skopeo_reads_what_is_saved_and_writes_what_is_loaded";
    if !is_root(test) {
        return;
    }
    let fixture = two_platforms();
    let folder = fixture.folder.path();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(path("saved.tar"), saved(&fixture, "a:1", &SaveOptions::default())).unwrap();
    // As Docker's archive, whose compressed layers it unpacks by itself.
    let (from, to) = (
        format!("docker-archive:{}", path("saved.tar")),
        format!("docker-archive:{}:docker.io/library/b:2", path("copied.tar")),
    );
    let Some(output) = run(test, "skopeo", &["--insecure-policy", "copy", &from, &to]) else {
        return;
    };
    succeeded(&output);
    // As an OCI layout, all platforms.
    fs::create_dir(path("layout")).unwrap();
    let unpacked = Command::new("tar")
        .args(["-xf", &path("saved.tar"), "-C", &path("layout")])
        .output()
        .unwrap();
    succeeded(&unpacked);
    let (from, to) = (
        format!("oci:{}:1", path("layout")),
        format!("oci-archive:{}:b:3", path("copied-oci.tar")),
    );
    let arguments = ["--insecure-policy", "copy", "--all", &from, &to];
    succeeded(&run(test, "skopeo", &arguments).unwrap());
    // The store itself is a layout that other tools read.
    let inspected = run(
        test,
        "skopeo",
        &["inspect", "--raw", &format!("oci:{}:1", fixture.root().display())],
    );
    succeeded(&inspected.unwrap());
    check_copies(&fixture, folder);
}

fn check_copies(fixture: &Fixture, folder: &Path) {
    let target = fixture.store.images().get(&reference("a:1")).unwrap().target;
    let amd64: Platform = "linux/amd64".parse().unwrap();
    let original = fixture.store.image(&target, &amd64).unwrap();
    let other = Fixture::new();
    let open = |name: &str| fs::File::open(folder.join(name)).unwrap();
    let loaded = load(&other.store, open("copied.tar"), &Limits::default()).unwrap();
    assert_eq!(loaded[0].reference, Some(reference("b:2")));
    let image = other.store.image(&loaded[0].target, &amd64).unwrap();
    assert_eq!(image.diff_ids(), original.diff_ids());
    let loaded = load(&other.store, open("copied-oci.tar"), &Limits::default()).unwrap();
    assert_eq!(loaded[0].reference, Some(reference("b:3")));
    let image = other.store.image(&loaded[0].target, &amd64).unwrap();
    assert_eq!(image.layers, original.layers);
    assert_eq!(other.store.platforms(&loaded[0].target).unwrap().len(), 2);
}

#[test]
fn podman_loads_what_is_saved_and_saves_what_is_loaded() {
    let test = "podman_loads_what_is_saved_and_saves_what_is_loaded";
    if !is_root(test) {
        return;
    }
    let fixture = two_platforms();
    let folder = fixture.folder.path();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(path("saved.tar"), saved(&fixture, "a:1", &SaveOptions::default())).unwrap();
    let (root, runroot) = (path("podman"), path("podman-run"));
    let podman = |arguments: &[&str]| {
        let common = ["--root", &root, "--runroot", &runroot, "--storage-driver", "vfs"];
        run(test, "podman", &[&common, arguments].concat())
    };
    let Some(output) = podman(&["load", "-i", &path("saved.tar")]) else {
        return;
    };
    succeeded(&output);
    for format in ["docker-archive", "oci-archive"] {
        let archive = path(format);
        succeeded(&podman(&["save", "--format", format, "-o", &archive, "a:1"]).unwrap());
        let other = Fixture::new();
        let file = fs::File::open(&archive).unwrap();
        let loaded = load(&other.store, file, &Limits::default()).unwrap();
        let amd64: Platform = "linux/amd64".parse().unwrap();
        let image = other.store.image(&loaded[0].target, &amd64).unwrap();
        assert_eq!(image.layers.len(), 2, "{format}");
    }
    succeeded(&podman(&["system", "reset", "--force"]).unwrap());
}

#[test]
fn a_packing_that_docker_left_compressed_is_loaded() {
    if !is_root("a_packing_that_docker_left_compressed_is_loaded") {
        return;
    }
    let layer = simple("a", &[4; 4000]);
    let config = json!({"architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer)]}});
    let manifest = json!([{"Config": "c.json", "RepoTags": null, "Layers": ["l.tar"]}]);
    for packing in [Packing::Gzip, Packing::Zstd] {
        let archive = Tarball::new()
            .file("manifest.json", manifest.to_string().as_bytes())
            .file("c.json", config.to_string().as_bytes())
            .file("l.tar", &pack(&layer, packing).bytes)
            .finish();
        let fixture = Fixture::new();
        let loaded = load(&fixture.store, &archive[..], &Limits::default()).unwrap();
        assert_eq!((loaded.len(), loaded[0].reference.clone()), (1, None));
    }
}
