//! Pushes to Debian's registry, read back by Skopeo and by a second store; and to one with limits.

use std::process::Command;
use std::sync::{Arc, Mutex};

use ferry_oci::{Digest, Reference};
use ferry_registry::{
    Anonymous, Class, Credential, Error, ForOneRegistry, LayerProgress, PartialIndex, Push, Selection, Silent,
};
use ferry_store::Store;

use crate::debian_registry::{DebianRegistry, Options, has_program};
use crate::fake_registry::{Asked, Counter, Fake, Reply};
use crate::image::{Content, Format, Layer, TwoPlatforms, digest_of};
use crate::recorder::{Recorder, client, store};

/// `ferry` with the password `wharf`, by bcrypt.
const HTPASSWD: &str = "ferry:$2b$04$4s6ZEYAAPpPE7TVGuwoCW.ol5FgWfAyRflhs2XvDMRDX3eQNJf9km";

fn whole(reference: Reference, image: &TwoPlatforms) -> Push {
    Push {
        reference,
        target: image.index.clone(),
        selection: Selection::All,
        partial: PartialIndex::Refuse,
    }
}

fn filled(image: &TwoPlatforms) -> (Store, tempfile::TempDir) {
    let (store, dir) = store();
    image.content.store_in(&store, &image.layers());
    (store, dir)
}

fn skopeo(arguments: &[&str]) -> Option<Vec<u8>> {
    if !has_program("skopeo") {
        return None;
    }
    let output = Command::new("skopeo").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(output.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_arrives_as_it_is() {
    let Some(registry) = DebianRegistry::start(&Options::default()) else {
        return;
    };
    for (format, name) in [(Format::Oci, "oci"), (Format::Docker, "docker")] {
        let image = TwoPlatforms::new(format);
        let (from, _from_dir) = filled(&image);
        let reference = registry.reference(&format!("push/{name}:v1"));
        let recorder = Recorder::default();
        let pushed = client()
            .push(&from, &whole(reference.clone(), &image), &Anonymous, &recorder)
            .await
            .unwrap();
        assert_eq!(pushed, image.index);
        assert_eq!(recorder.last(&image.shared.digest), Some(LayerProgress::Complete));

        let url = format!("docker://{reference}");
        let raw = skopeo(&["inspect", "--tls-verify=false", "--raw", &url]);
        assert!(raw.is_none_or(|raw| raw == image.content.manifests[&digest_of(&image.index)].1));
        for architecture in ["amd64", "arm64"] {
            let arguments = ["--override-arch", architecture, "inspect", "--tls-verify=false", &url];
            if let Some(text) = skopeo(&arguments) {
                let text = String::from_utf8(text).unwrap();
                assert!(text.contains(&image.shared.digest.to_string()), "{text}");
                assert!(
                    text.contains(&format!("\"Architecture\": \"{architecture}\"")),
                    "{text}"
                );
            }
        }

        let (to, _to_dir) = store();
        let pulled = client()
            .pull(&to, &reference, &Selection::All, &Anonymous, &Silent)
            .await
            .unwrap();
        assert_eq!(pulled, image.index);
        for layer in image.layers() {
            assert!(to.layers().has(&layer.diff_id));
        }

        let again = Recorder::default();
        client()
            .push(&from, &whole(reference.clone(), &image), &Anonymous, &again)
            .await
            .unwrap();
        assert_eq!(again.last(&image.shared.digest), Some(LayerProgress::AlreadyExists));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_mounted_from_a_repository_that_the_store_knows() {
    let Some(registry) = DebianRegistry::start(&Options::default()) else {
        return;
    };
    let image = TwoPlatforms::new(Format::Oci);
    let (from, _dir) = filled(&image);
    let first = registry.reference("mount/first");
    client()
        .push(&from, &whole(first.clone(), &image), &Anonymous, &Silent)
        .await
        .unwrap();
    from.images().put(&first, image.index.clone()).unwrap();
    let recorder = Recorder::default();
    let second = registry.reference("mount/second");
    client()
        .push(&from, &whole(second, &image), &Anonymous, &recorder)
        .await
        .unwrap();
    assert_eq!(recorder.last(&image.shared.digest), Some(LayerProgress::Mounted));

    // A name alone proves nothing: the registry begins an upload, and gets one.
    let never_pushed = registry.reference("mount/never-pushed");
    let other = Layer::with_file("other", b"other");
    let mut content = Content::default();
    let target = content.add_image(Format::Oci, "amd64", std::slice::from_ref(&other));
    content.store_in(&from, std::slice::from_ref(&other));
    from.images().put(&never_pushed, target.clone()).unwrap();
    let push = Push {
        reference: registry.reference("mount/third"),
        target,
        ..whole(first, &image)
    };
    let recorder = Recorder::default();
    client().push(&from, &push, &Anonymous, &recorder).await.unwrap();
    assert_eq!(recorder.last(&other.digest), Some(LayerProgress::Complete));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_or_left_out_on_request() {
    let Some(registry) = DebianRegistry::start(&Options::default()) else {
        return;
    };
    let image = TwoPlatforms::new(Format::Oci);
    let (upstream, _upstream_dir) = filled(&image);
    let origin = registry.reference("partial/origin");
    client()
        .push(&upstream, &whole(origin.clone(), &image), &Anonymous, &Silent)
        .await
        .unwrap();

    let amd64 = Selection::Platforms(vec!["linux/amd64".parse().unwrap()]);
    let (partial, _partial_dir) = store();
    client()
        .pull(&partial, &origin, &amd64, &Anonymous, &Silent)
        .await
        .unwrap();
    let copy = registry.reference("partial/copy");
    let refused = client()
        .push(&partial, &whole(copy.clone(), &image), &Anonymous, &Silent)
        .await;
    let error = refused.unwrap_err();
    assert!(matches!(&error, Error::Incomplete { .. }), "{error}");
    assert!(
        error.to_string().contains("linux/arm64 missing, linux/amd64 present"),
        "{error}"
    );
    assert!(
        matches!(client().resolve(&copy, &Anonymous).await, Err(Error::NotFound { .. })),
        "nothing was tagged"
    );

    for push in [
        Push {
            partial: PartialIndex::Reduce,
            ..whole(copy.clone(), &image)
        },
        Push {
            selection: amd64.clone(),
            ..whole(copy.clone(), &image)
        },
    ] {
        let pushed = client().push(&partial, &push, &Anonymous, &Silent).await.unwrap();
        assert_eq!(pushed, image.amd64);
        assert_eq!(
            client().resolve(&copy, &Anonymous).await.unwrap().digest(),
            image.amd64.digest()
        );
    }

    // Back to where it came from, the registry has the rest.
    let retagged = origin.with_tag("again").unwrap();
    let pushed = client()
        .push(&partial, &whole(retagged, &image), &Anonymous, &Silent)
        .await
        .unwrap();
    assert_eq!(pushed, image.index);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reduced_index_names_only_what_was_pushed() {
    let Some(registry) = DebianRegistry::start(&Options::default()) else {
        return;
    };
    let mut image = TwoPlatforms::new(Format::Oci);
    let riscv64_layer = Layer::with_file("bin", b"riscv64");
    let riscv64 = image
        .content
        .add_image(Format::Oci, "riscv64", &[image.shared.clone(), riscv64_layer]);
    let (amd64, arm64) = (image.amd64.clone(), image.arm64.clone());
    let entries = [("amd64", &amd64), ("arm64", &arm64), ("riscv64", &riscv64)];
    image.index = image.content.add_index(Format::Oci, &entries);
    let (from, _dir) = filled(&image);
    let wanted = ["linux/amd64", "linux/riscv64"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let push = Push {
        selection: Selection::Platforms(wanted),
        partial: PartialIndex::Reduce,
        ..whole(registry.reference("reduced/app"), &image)
    };
    let recorder = Recorder::default();
    let pushed = client().push(&from, &push, &Anonymous, &recorder).await.unwrap();
    assert_ne!(pushed.digest(), image.index.digest());
    let manifest = client().manifest(&push.reference, &Anonymous).await.unwrap();
    assert_eq!(manifest.descriptor, pushed);
    let ferry_oci::Document::Index(index) = manifest.document else {
        panic!("no index")
    };
    let digests: Vec<_> = index.manifests().iter().map(digest_of).collect();
    assert_eq!(digests, [digest_of(&image.amd64), digest_of(&riscv64)]);
    assert!(
        recorder
            .lines
            .lock()
            .unwrap()
            .contains(&"Not pushed: linux/arm64".to_owned())
    );
    let error = client()
        .push(
            &from,
            &Push {
                partial: PartialIndex::Refuse,
                ..push
            },
            &Anonymous,
            &Silent,
        )
        .await;
    assert!(matches!(error, Err(Error::Incomplete { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn htpasswd_registries_take_the_right_password_only() {
    let options = Options {
        htpasswd: Some(HTPASSWD),
        ..Options::default()
    };
    let Some(registry) = DebianRegistry::start(&options) else {
        return;
    };
    let image = TwoPlatforms::new(Format::Oci);
    let (from, _dir) = filled(&image);
    let push = whole(registry.reference("private/app"), &image);
    let as_ferry = |password: &str| ForOneRegistry {
        domain: registry.domain(),
        credential: Credential::Basic {
            username: "ferry".into(),
            password: password.into(),
        },
    };
    client().push(&from, &push, &as_ferry("wharf"), &Silent).await.unwrap();
    let (to, _to_dir) = store();
    client()
        .pull(&to, &push.reference, &Selection::All, &as_ferry("wharf"), &Silent)
        .await
        .unwrap();
    client()
        .login(&registry.domain(), &as_ferry("wharf").credential)
        .await
        .unwrap();
    let error = client()
        .push(&from, &push, &as_ferry("wrong"), &Silent)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized, "{error}");
    let error = client()
        .pull(&to, &push.reference, &Selection::All, &Anonymous, &Silent)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized, "{error}");
    let error = client()
        .login(&registry.domain(), &as_ferry("wrong").credential)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized, "{error}");
}

/// A registry that takes uploads, and keeps what came.
#[derive(Default, Clone)]
struct Uploads(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    blobs: Vec<(Digest, Vec<u8>)>,
    open: Vec<u8>,
    manifests: Vec<String>,
}

impl Uploads {
    fn answer(&self, asked: &Asked) -> Reply {
        let mut kept = self.0.lock().unwrap();
        let digest = asked.query.split('&').find_map(|pair| pair.strip_prefix("digest="));
        let digest = digest.map(|digest| digest.replace("%3A", ":"));
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/v2/") => Reply::new(200),
            ("HEAD", _) => Reply::new(404),
            ("POST", _) => {
                kept.open.clear();
                Reply::new(202).header("location", "/v2/app/blobs/uploads/1?state=a%2Fb")
            }
            ("PATCH", _) => {
                kept.open.extend_from_slice(&asked.body);
                Reply::new(202).header("location", "/v2/app/blobs/uploads/1?state=next")
            }
            ("PUT", path) if path.contains("/blobs/") => {
                let mut bytes = std::mem::take(&mut kept.open);
                bytes.extend_from_slice(&asked.body);
                let digest: Digest = digest.unwrap().parse().unwrap();
                // As for an upload that its client broke off, because another one was refused.
                if Digest::of(&bytes) != digest {
                    return Reply::json(400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
                }
                kept.blobs.push((digest, bytes));
                Reply::new(201)
            }
            ("PUT", path) => {
                kept.manifests.push(path.to_owned());
                Reply::new(201)
            }
            _ => Reply::new(400),
        }
    }
}

/// Pushes one image whose layer has 200 kB to a registry that spoils some answers.
async fn push_spoiled(
    spoil: impl Fn(&Asked, &Counter) -> Option<Reply> + Send + Sync + 'static,
) -> (Result<(), Error>, Layer, Uploads, Fake) {
    let uploads = Uploads::default();
    let (kept, counter) = (uploads.clone(), Counter::default());
    let fake = Fake::start(move |asked| spoil(asked, &counter).unwrap_or_else(|| kept.answer(asked))).await;
    let layer = Layer::incompressible("data", 200_000);
    let mut content = Content::default();
    let target = content.add_image(Format::Oci, "amd64", std::slice::from_ref(&layer));
    let (from, _dir) = store();
    content.store_in(&from, std::slice::from_ref(&layer));
    let push = Push {
        reference: fake.reference("app:v1"),
        target,
        selection: Selection::All,
        partial: PartialIndex::Refuse,
    };
    let pushed = client().push(&from, &push, &Anonymous, &Silent).await.map(|_| ());
    (pushed, layer, uploads, fake)
}

fn is_large_put(asked: &Asked) -> bool {
    asked.method == http::Method::PUT && asked.body.len() > 100_000
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_one_put_and_manifests_come_last() {
    let (pushed, layer, uploads, fake) = push_spoiled(|_, _| None).await;
    pushed.unwrap();
    let kept = uploads.0.lock().unwrap();
    assert!(kept.blobs.contains(&(layer.digest, layer.bytes.clone())));
    assert_eq!(kept.manifests, ["/v2/app/manifests/v1"]);
    let log = fake.log();
    assert!(!log.iter().any(|asked| asked.method == http::Method::PATCH));
    assert!(log.last().unwrap().path.contains("/manifests/"));
    let put = log.iter().find(|asked| is_large_put(asked)).unwrap();
    assert!(put.query.starts_with("state=a%2Fb&digest=sha256%3A"), "{}", put.query);
    assert_eq!(
        put.header("content-length"),
        Some(layer.bytes.len().to_string().as_str())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_begins_anew() {
    for status in [500, 503, 404] {
        let (pushed, layer, uploads, _fake) = push_spoiled(move |asked, counter| {
            (is_large_put(asked) && counter.next("put") < 2).then(|| Reply::new(status))
        })
        .await;
        pushed.unwrap();
        assert!(
            uploads
                .0
                .lock()
                .unwrap()
                .blobs
                .iter()
                .any(|(digest, _)| *digest == layer.digest)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_with_a_limit_get_chunks() {
    for status in [413, 405] {
        let (pushed, layer, uploads, fake) =
            push_spoiled(move |asked, _| is_large_put(asked).then(|| Reply::new(status))).await;
        pushed.unwrap();
        assert!(
            uploads
                .0
                .lock()
                .unwrap()
                .blobs
                .contains(&(layer.digest, layer.bytes.clone()))
        );
        let patch = fake
            .log()
            .into_iter()
            .find(|asked| asked.method == http::Method::PATCH)
            .unwrap();
        assert_eq!(
            patch.header("content-range"),
            Some(format!("0-{}", layer.bytes.len() - 1).as_str())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_is_an_error_and_tags_nothing() {
    for (status, class) in [
        (403, Class::Forbidden),
        (400, Class::Invalid),
        (500, Class::Unavailable),
    ] {
        let (pushed, _, uploads, _fake) = push_spoiled(move |asked, _| {
            is_large_put(asked).then(|| Reply::json(status, r#"{"errors":[{"message":"no room"}]}"#))
        })
        .await;
        let error = pushed.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains("no room"), "{error}");
        assert!(uploads.0.lock().unwrap().manifests.is_empty());
    }
}
