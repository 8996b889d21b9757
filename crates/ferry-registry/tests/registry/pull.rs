//! Pulls from an obedient registry: what is fetched, what is stored, what is left alone.

use ferry_oci::{Descriptor, Digest, Platform, Reference};
use ferry_registry::{Anonymous, Error, LayerProgress, Selection, Silent};
use ferry_store::Store;

use crate::fake_registry::{Fake, serve};
use crate::image::{Content, Format, Layer, TwoPlatforms, digest_of};
use crate::recorder::{Recorder, client, contents, store};

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

fn only(text: &str) -> Selection {
    Selection::Platforms(vec![platform(text)])
}

fn has_layer(store: &Store, layer: &Layer) -> bool {
    store.layers().has(&layer.diff_id) && store.content().has(&layer.digest)
}

fn read(store: &Store, descriptor: &Descriptor) -> Vec<u8> {
    store.content().read(&digest_of(descriptor), 4 << 20).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_stored_whole_with_one_platform() {
    for format in [Format::Oci, Format::Docker] {
        let image = TwoPlatforms::new(format);
        let fake = Fake::start(serve(&image.content, &image.index)).await;
        let (store, _dir) = store();
        let recorder = Recorder::default();
        let target = client()
            .pull(
                &store,
                &fake.reference("some/app"),
                &only("linux/arm64"),
                &Anonymous,
                &recorder,
            )
            .await
            .unwrap();
        assert_eq!(target, image.index);
        let original = &image.content.manifests[&digest_of(&image.index)].1;
        assert_eq!(&read(&store, &target), original, "byte-exact");
        assert!(has_layer(&store, &image.shared) && has_layer(&store, &image.arm64_layer));
        assert!(!store.layers().has(&image.amd64_layer.diff_id));
        assert!(!store.content().has(&digest_of(&image.amd64)));
        let found = store.image(&target, &platform("linux/arm64")).unwrap();
        assert_eq!(found.layers.len(), 2);
        assert_eq!(recorder.last(&image.shared.digest), Some(LayerProgress::Complete));
        assert_eq!(recorder.lines.lock().unwrap()[0], "Pulling from some/app");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_platforms_share_their_layers() {
    let image = TwoPlatforms::new(Format::Oci);
    let fake = Fake::start(serve(&image.content, &image.index)).await;
    let (store, _dir) = store();
    let client = client();
    let reference = fake.reference("app");
    client
        .pull(&store, &reference, &Selection::All, &Anonymous, &Silent)
        .await
        .unwrap();
    for layer in image.layers() {
        assert!(has_layer(&store, &layer));
    }
    let gets = fake.log().iter().filter(|asked| asked.is_blob_get()).count();
    assert_eq!(gets, 5, "three layers and two configs, each once");

    let recorder = Recorder::default();
    client
        .pull(&store, &reference, &Selection::All, &Anonymous, &recorder)
        .await
        .unwrap();
    assert_eq!(recorder.last(&image.shared.digest), Some(LayerProgress::AlreadyExists));
    let lines = fake.lines();
    assert_eq!(
        lines.len() - lines.iter().rposition(|line| line.contains("/blobs/")).unwrap(),
        2,
        "HEAD only: {lines:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_platform_is_the_first_that_exists() {
    let image = TwoPlatforms::new(Format::Oci);
    let fake = Fake::start(serve(&image.content, &image.index)).await;
    let (store, _dir) = store();
    let wanted = Selection::Best(vec![
        platform("linux/s390x"),
        platform("linux/arm64"),
        platform("linux/amd64"),
    ]);
    client()
        .pull(&store, &fake.reference("app"), &wanted, &Anonymous, &Silent)
        .await
        .unwrap();
    assert!(has_layer(&store, &image.arm64_layer) && !has_layer(&store, &image.amd64_layer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_platform_names_what_there_is() {
    let image = TwoPlatforms::new(Format::Oci);
    for root in [&image.index, &image.amd64] {
        let fake = Fake::start(serve(&image.content, root)).await;
        let (store, _dir) = store();
        let pulled = client()
            .pull(
                &store,
                &fake.reference("app"),
                &only("linux/s390x"),
                &Anonymous,
                &Silent,
            )
            .await;
        let error = pulled.unwrap_err();
        assert!(matches!(error, Error::NoPlatform { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("has no image for linux/s390x; it has linux/amd64"),
            "{error}"
        );
        assert!(contents(&store).is_empty(), "{:?}", contents(&store));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_by_digest_need_no_tag_and_resolve_without_content() {
    let image = TwoPlatforms::new(Format::Oci);
    let fake = Fake::start(serve(&image.content, &image.index)).await;
    let client = client();
    let by_tag = fake.reference("app");
    assert_eq!(client.resolve(&by_tag, &Anonymous).await.unwrap(), image.index);
    assert_eq!(fake.lines(), ["HEAD /v2/app/manifests/latest"]);
    let by_digest = Reference::parse(&format!("{}@{}", by_tag.name(), image.amd64.digest())).unwrap();
    let (store, _dir) = store();
    client
        .pull(&store, &by_digest, &only("linux/amd64"), &Anonymous, &Silent)
        .await
        .unwrap();
    assert!(has_layer(&store, &image.amd64_layer));
    let manifest = client.manifest(&by_tag, &Anonymous).await.unwrap();
    assert_eq!(
        &manifest.bytes[..],
        &image.content.manifests[&digest_of(&image.index)].1[..]
    );
    let unknown = by_tag.with_digest(Digest::of(b"nothing"));
    let error = client
        .pull(&store, &unknown, &Selection::All, &Anonymous, &Silent)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_left_by_an_earlier_attempt_is_unpacked_without_a_download() {
    let image = TwoPlatforms::new(Format::Oci);
    let fake = Fake::start(serve(&image.content, &image.amd64)).await;
    let (store, _dir) = store();
    store.content().write(&image.shared.bytes).unwrap();
    client()
        .pull(&store, &fake.reference("app"), &Selection::All, &Anonymous, &Silent)
        .await
        .unwrap();
    assert!(has_layer(&store, &image.shared));
    assert!(
        !fake
            .lines()
            .iter()
            .any(|line| line.contains(&image.shared.digest.to_string()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_image_is_refused_by_name() {
    let (store, _dir) = store();
    let layer = Layer::with_file("x", b"x");
    let layer_of = |media_type: &str| {
        format!(
            r#"{{"mediaType":"{media_type}","size":{},"digest":"{}"}}"#,
            layer.bytes.len(),
            layer.digest
        )
    };
    let config = "application/vnd.oci.image.config.v1+json";
    let manifest_of = |config: &str, layer: &str| {
        let oci = ferry_oci::media_type::OCI_MANIFEST;
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{oci}","config":{},"layers":[{}]}}"#,
            layer_of(config),
            layer_of(layer)
        )
    };
    let oci = ferry_oci::media_type::OCI_MANIFEST;
    let index = ferry_oci::media_type::OCI_INDEX;
    let nested = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{index}","size":3,"digest":"{}"}}]}}"#,
        layer.digest
    );
    for (media_type, text, expected) in [
        (
            oci,
            manifest_of("application/vnd.cncf.helm.config.v1+json", "application/x-chart"),
            "is not a container image but an artifact of type application/vnd.cncf.helm.config.v1+json",
        ),
        (
            oci,
            manifest_of(config, "application/vnd.in-toto+json"),
            "artifact of type application/vnd.in-toto+json",
        ),
        (index, nested, "an index within an index is not supported"),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(),
            "manifest schema 1 is not supported",
        ),
        (index, manifest_of(config, "x"), "was served as"),
        (oci, "[".repeat(1000), "malformed document"),
    ] {
        let mut content = Content::default();
        let root = content.add_manifest(media_type, text.into_bytes());
        content.blobs.insert(layer.digest, layer.bytes.clone());
        let fake = Fake::start(serve(&content, &root)).await;
        let pulled = client()
            .pull(
                &store,
                &fake.reference("app"),
                &only("linux/amd64"),
                &Anonymous,
                &Silent,
            )
            .await;
        let error = pulled.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(contents(&store).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_layers_are_refused_and_their_host_is_never_asked() {
    let elsewhere = Fake::start(|_| crate::fake_registry::Reply::new(200)).await;
    let mut content = Content::default();
    let layer = Layer::with_file("x", b"x");
    let image = content.add_image(Format::Docker, "amd64", std::slice::from_ref(&layer));
    let text = String::from_utf8(content.manifests[&digest_of(&image)].1.clone()).unwrap();
    let url = format!(
        r#""urls":["{}"],"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip""#,
        elsewhere.url("/layer")
    );
    let text = text.replace(
        r#""mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip""#,
        &url,
    );
    let root = content.add_manifest(ferry_oci::media_type::DOCKER_MANIFEST, text.into_bytes());
    let fake = Fake::start(serve(&content, &root)).await;
    let (store, _dir) = store();
    let error = client()
        .pull(&store, &fake.reference("app"), &Selection::All, &Anonymous, &Silent)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ForeignLayer { .. }), "{error}");
    assert!(elsewhere.log().is_empty() && contents(&store).is_empty());
}

/// An index with an image, an attestation about it, and an image without a platform.
fn attested() -> (Content, Descriptor, Layer, Layer) {
    let mut content = Content::default();
    let layer = Layer::with_file("bin", b"amd64");
    let hidden = Layer::with_file("bin", b"arm64");
    let image = content.add_image(Format::Oci, "amd64", std::slice::from_ref(&layer));
    let unnamed = content.add_image(Format::Oci, "arm64", std::slice::from_ref(&hidden));
    let statement = br#"{"_type":"https://in-toto.io/Statement/v0.1"}"#.to_vec();
    let config =
        br#"{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#.to_vec();
    let describe = |media_type: &str, bytes: &[u8], more: &str| {
        format!(
            r#"{{"mediaType":"{media_type}","digest":"{}","size":{}{more}}}"#,
            Digest::of(bytes),
            bytes.len()
        )
    };
    let oci = ferry_oci::media_type::OCI_MANIFEST;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{oci}","config":{},"layers":[{}]}}"#,
        describe(ferry_oci::media_type::OCI_CONFIG, &config, ""),
        describe("application/vnd.in-toto+json", &statement, ""),
    );
    let about = format!(
        r#","platform":{{"os":"unknown","architecture":"unknown"}},"annotations":{{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"{}"}}"#,
        image.digest()
    );
    let bytes_of = |descriptor: &Descriptor| content.manifests[&digest_of(descriptor)].1.clone();
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{},{},{}]}}"#,
        describe(
            oci,
            &bytes_of(&image),
            r#","platform":{"os":"linux","architecture":"amd64"}"#
        ),
        describe(oci, manifest.as_bytes(), &about),
        describe(oci, &bytes_of(&unnamed), ""),
    );
    content.blobs.insert(Digest::of(&statement), statement);
    content.blobs.insert(Digest::of(&config), config);
    content.add_manifest(oci, manifest.into_bytes());
    let root = content.add_manifest(ferry_oci::media_type::OCI_INDEX, index.into_bytes());
    (content, root, layer, hidden)
}

#[tokio::test(flavor = "multi_thread")]
async fn attestations_come_with_all_and_stay_away_from_one_platform() {
    let (content, root, layer, _) = attested();
    let fake = Fake::start(serve(&content, &root)).await;
    let (store, _dir) = store();
    client()
        .pull(
            &store,
            &fake.reference("app"),
            &only("linux/amd64"),
            &Anonymous,
            &Silent,
        )
        .await
        .unwrap();
    assert!(has_layer(&store, &layer));
    let is_whole = |store: &Store| content.blobs.keys().all(|blob| store.content().has(blob));
    assert!(!is_whole(&store));
    client()
        .pull(&store, &fake.reference("app"), &Selection::All, &Anonymous, &Silent)
        .await
        .unwrap();
    assert!(is_whole(&store));
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_that_the_index_leaves_out_are_found_in_configs() {
    let (content, root, _, hidden) = attested();
    let fake = Fake::start(serve(&content, &root)).await;
    let (store, _dir) = store();
    client()
        .pull(
            &store,
            &fake.reference("app"),
            &only("linux/arm64"),
            &Anonymous,
            &Silent,
        )
        .await
        .unwrap();
    assert!(has_layer(&store, &hidden));
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_on_ipv6_loopback_are_reached() {
    let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else {
        eprintln!("skipped: needs IPv6");
        return;
    };
    let image = TwoPlatforms::new(Format::Oci);
    let fake = Fake::start_on(listener, serve(&image.content, &image.index));
    let (store, _dir) = store();
    client()
        .pull(&store, &fake.reference("app"), &Selection::All, &Anonymous, &Silent)
        .await
        .unwrap();
    assert!(has_layer(&store, &image.shared));
}
