//! Images by name, and what an index with any subset of its platforms answers.

use ferry_oci::{Descriptor, Platform, Reference, media_type};
use ferry_store::{Error, Presence};
use serde_json::json;

use crate::fixture::{Fixture, Packing, is_root, pack, simple};

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

#[test]
fn names_survive_a_restart_and_stand_in_index_json() {
    let fixture = Fixture::new();
    let manifest = fixture.manifest(&[], "linux/amd64");
    let images = fixture.store.images();
    assert_eq!(images.put(&reference("a"), manifest.clone()).unwrap(), None);
    images.tag(&reference("a"), &reference("example.com/b/c:1")).unwrap();
    let digest = ferry_oci::Digest::try_from(manifest.digest()).unwrap();
    images
        .put(&reference("a").with_digest(digest), manifest.clone())
        .unwrap();
    let before = images.list();
    let fixture = fixture.reopen();
    let images = fixture.store.images();
    assert_eq!(images.list(), before);
    assert_eq!(before.len(), 3);
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture.root().join("index.json")).unwrap()).unwrap();
    let names: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|manifest| manifest["annotations"]["io.containerd.image.name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"docker.io/library/a:latest"), "{names:?}");
    assert_eq!(images.remove(&reference("a")).unwrap(), manifest);
    assert!(matches!(images.remove(&reference("a")), Err(Error::ImageMissing(_))));
    assert!(matches!(images.get(&reference("a")), Err(Error::ImageMissing(_))));
    let fixture = fixture.reopen();
    assert_eq!(fixture.store.images().list().len(), 2);
}

#[test]
fn a_damaged_record_costs_its_own_name_only() {
    let fixture = Fixture::new();
    let manifest = fixture.manifest(&[], "linux/amd64");
    for name in ["a", "b"] {
        let images = fixture.store.images();
        images.put(&reference(name), manifest.clone()).unwrap();
    }
    let folder = fixture.root().join("images");
    let damaged = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    std::fs::write(damaged.path(), "{").unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.store.images().list().len(), 1);
    // A record of a newer Ferry must not be overlooked: what it names would be collected.
    std::fs::write(damaged.path(), r#"{"version":999}"#).unwrap();
    let root = fixture.root();
    let Fixture { store, folder } = fixture;
    drop(store);
    assert!(matches!(ferry_store::Store::open(&root), Err(Error::Record { .. })));
    drop(folder);
}

#[test]
fn a_name_cannot_point_at_what_is_not_here() {
    let fixture = Fixture::new();
    let missing = Descriptor::new(media_type::OCI_MANIFEST.into(), 3, ferry_oci::Digest::of(b"abc"));
    let result = fixture.store.images().put(&reference("a"), missing);
    assert!(matches!(result, Err(Error::BlobMissing(_))));
    assert!(fixture.store.images().list().is_empty());
}

#[test]
fn an_index_answers_for_the_platforms_that_are_here() {
    if !is_root("an_index_answers_for_the_platforms_that_are_here") {
        return;
    }
    let fixture = Fixture::new();
    let here = fixture.layer(&simple("a", b"amd64")).unwrap();
    let absent = pack(&simple("a", b"arm64"), Packing::Gzip);
    let amd64 = fixture.manifest(&[&here], "linux/amd64");
    let arm64 = fixture.manifest(&[&absent], "linux/arm64");
    let other = Fixture::new().manifest(&[], "linux/s390x");
    let mut attestation = fixture.manifest(&[], "linux/amd64");
    attestation.set_annotations(Some(
        [(
            "vnd.docker.reference.type".to_owned(),
            "attestation-manifest".to_owned(),
        )]
        .into(),
    ));
    let attestation_platform = json!({"os": "unknown", "architecture": "unknown"});
    let mut attestation = serde_json::to_value(attestation).unwrap();
    attestation["platform"] = attestation_platform;
    let mut index: serde_json::Value = {
        let listed = [
            (&amd64, "linux/amd64"),
            (&arm64, "linux/arm64"),
            (&other, "linux/s390x"),
        ];
        let descriptor = fixture.index(&listed);
        let digest = ferry_oci::Digest::try_from(descriptor.digest()).unwrap();
        let bytes = fixture.store.content().read(&digest, 1 << 20).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    index["manifests"].as_array_mut().unwrap().push(attestation);
    let target = fixture.write(media_type::OCI_INDEX, &index);

    let shown: Vec<_> = fixture
        .store
        .platforms(&target)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.platform.to_string(), entry.presence))
        .collect();
    let expected = [
        ("linux/amd64", Presence::Complete),
        ("linux/arm64", Presence::Partial),
        ("linux/s390x", Presence::Absent),
    ];
    assert_eq!(
        shown,
        expected.map(|(platform, presence)| (platform.to_owned(), presence))
    );

    let image = fixture.store.image(&target, &platform("linux/amd64")).unwrap();
    assert_eq!(image.diff_ids(), [here.diff_id]);
    assert_eq!(image.manifest_descriptor.digest(), amd64.digest());
    assert_eq!(image.size_bytes(&fixture.store).unwrap(), 5);
    let history = image.history(&fixture.store).unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!((history[0].size_bytes, history[1].diff_id), (5, None));
    for missing in ["linux/s390x", "linux/riscv64"] {
        match fixture.store.image(&target, &platform(missing)) {
            Err(Error::PlatformMissing { available, .. }) => assert_eq!(available.len(), 3),
            other => panic!("{other:?}"),
        }
    }
    let alone = fixture.store.image(&amd64, &platform("linux/amd64")).unwrap();
    assert_eq!(alone.diff_ids(), image.diff_ids());
    let wrong = fixture.store.image(&amd64, &platform("linux/arm64"));
    assert!(matches!(wrong, Err(Error::PlatformMissing { .. })));
}

#[test]
fn documents_that_lie_are_refused() {
    let fixture = Fixture::new();
    let wrong_count = {
        let config = json!({"architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [ferry_oci::Digest::of(b"x")]}});
        let config = fixture.write(media_type::OCI_CONFIG, &config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": []});
        fixture.write(media_type::OCI_MANIFEST, &manifest)
    };
    let result = fixture.store.image(&wrong_count, &platform("linux/amd64"));
    assert!(matches!(result, Err(Error::LayerCount { .. })), "{result:?}");
    // An index cannot hold itself, but it can hold another one many times.
    let mut nested = fixture.index(&[]);
    for _ in 0..14 {
        let twice = json!({"schemaVersion": 2, "manifests": [nested, nested, nested]});
        nested = fixture.write(media_type::OCI_INDEX, &twice);
    }
    let result = fixture.store.platforms(&nested);
    assert!(matches!(result, Err(Error::Limit { .. })), "{result:?}");
}

#[test]
fn a_damaged_blob_is_not_believed() {
    let fixture = Fixture::new();
    let manifest = fixture.manifest(&[], "linux/amd64");
    let digest = ferry_oci::Digest::try_from(manifest.digest()).unwrap();
    let path = fixture.store.content().path(&digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let result = fixture.store.image(&manifest, &platform("linux/amd64"));
    assert!(matches!(result, Err(Error::DigestMismatch { .. })), "{result:?}");
}
