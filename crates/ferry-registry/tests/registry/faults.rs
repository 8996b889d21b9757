//! Pulls from registries that answer late, short, wrong, or not at all.

use std::time::Duration;

use ferry_oci::{Digest, Reference};
use ferry_registry::{Anonymous, Class, Client, Error, LayerProgress, Selection, Silent};

use crate::fake_registry::{Asked, Counter, Fake, Piece, Reply, serve};
use crate::image::{Content, Format, Layer};
use crate::recorder::{Recorder, client, config, contents, store};

/// An image with one layer of about 600 kB.
struct Large {
    content: Content,
    layer: Layer,
    root: ferry_oci::Descriptor,
}

fn large() -> Large {
    let layer = Layer::incompressible("data", 600_000);
    let mut content = Content::default();
    let root = content.add_image(Format::Oci, "amd64", std::slice::from_ref(&layer));
    Large { content, layer, root }
}

impl Large {
    /// A registry whose answers for the layer go through `spoil`, which also gets their count.
    async fn spoiled(&self, spoil: impl Fn(&Asked, Reply, usize) -> Reply + Send + Sync + 'static) -> Fake {
        let obedient = serve(&self.content, &self.root);
        let (counter, layer) = (Counter::default(), self.layer.digest.to_string());
        Fake::start(move |asked| {
            let reply = obedient(asked);
            if asked.is_blob_get() && asked.path.ends_with(&layer) {
                spoil(asked, reply, counter.next("layer"))
            } else {
                reply
            }
        })
        .await
    }

    /// The `Range` headers with which the layer was asked for.
    fn ranges(&self, fake: &Fake) -> Vec<Option<String>> {
        let layer = self.layer.digest.to_string();
        let asked = fake.log();
        let asked = asked
            .iter()
            .filter(|asked| asked.is_blob_get() && asked.path.ends_with(&layer));
        asked.map(|asked| asked.header("range").map(str::to_owned)).collect()
    }
}

async fn pull(fake: &Fake) -> (Result<(), Error>, Recorder, ferry_store::Store, tempfile::TempDir) {
    let (store, dir) = store();
    let recorder = Recorder::default();
    let pulled = client()
        .pull(&store, &fake.reference("app"), &Selection::All, &Anonymous, &recorder)
        .await;
    (pulled.map(|_| ()), recorder, store, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_download_goes_on_where_it_ended() {
    let image = large();
    for end in [Piece::Abort, Piece::Pause(Duration::from_secs(60))] {
        let fake = image
            .spoiled(move |_, reply, count| match count {
                0 => reply.cut(300_000, end.clone()),
                1 => reply.cut(200_000, end.clone()),
                _ => reply,
            })
            .await;
        let (pulled, recorder, store, _dir) = pull(&fake).await;
        pulled.unwrap();
        assert!(store.layers().has(&image.layer.diff_id));
        assert!(recorder.has_seen(&image.layer.digest, LayerProgress::Retrying));
        let ranges = image.ranges(&fake);
        let expected = [None, Some("bytes=300000-".to_owned()), Some("bytes=500000-".to_owned())];
        assert_eq!(ranges, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_ignores_or_refuses_ranges_starts_again() {
    let image = large();
    let whole = image.layer.bytes.clone();
    for refusal in [200, 416] {
        let whole = whole.clone();
        let fake = image
            .spoiled(move |asked, reply, count| match (count, asked.header("range")) {
                (0, _) => reply.cut(300_000, Piece::Abort),
                (_, Some(_)) if refusal == 416 => Reply::new(416),
                _ => Reply::new(200).body(whole.clone()),
            })
            .await;
        let (pulled, _, store, _dir) = pull(&fake).await;
        pulled.unwrap();
        assert!(store.layers().has(&image.layer.diff_id), "skipped what had come before");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_starts_earlier_is_cut_and_one_that_starts_later_is_an_error() {
    let image = large();
    for (start, is_fine) in [(100_000, true), (300_001, false)] {
        let whole = image.layer.bytes.clone();
        let fake = image
            .spoiled(move |_, reply, count| match count {
                0 => reply.cut(300_000, Piece::Abort),
                _ => Reply::new(206)
                    .header(
                        "content-range",
                        format!("bytes {start}-{}/{}", whole.len() - 1, whole.len()),
                    )
                    .body(whole[start..].to_vec()),
            })
            .await;
        let (pulled, _, store, _dir) = pull(&fake).await;
        assert_eq!(pulled.is_ok(), is_fine, "{pulled:?}");
        assert_eq!(store.layers().has(&image.layer.diff_id), is_fine);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_is_waited_for() {
    let image = large();
    for (status, header) in [
        (429, Some("1")),
        (429, None),
        (500, None),
        (502, None),
        (503, Some("0")),
    ] {
        let fake = image
            .spoiled(move |_, reply, count| match (count, header) {
                (0 | 1, Some(value)) => Reply::new(status).header("retry-after", value),
                (0 | 1, None) => Reply::new(status),
                _ => reply,
            })
            .await;
        let (pulled, _, _, _dir) = pull(&fake).await;
        pulled.unwrap();
        assert_eq!(image.ranges(&fake).len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_trouble_ends_with_its_cause_and_nothing_left() {
    let image = large();
    type Spoil = fn(&Asked, Reply, usize) -> Reply;
    let cases: [(Spoil, &str, Class); 7] = [
        (
            |_, _, _| Reply::json(503, r#"{"errors":[{"code":"UNAVAILABLE","message":"full"}]}"#),
            "503 Service Unavailable: full",
            Class::Unavailable,
        ),
        (
            |_, _, _| Reply::new(429).header("retry-after", "86400"),
            "429 Too Many Requests",
            Class::Unavailable,
        ),
        (
            |_, reply, _| reply.cut(0, Piece::Abort),
            "connection failed",
            Class::Unavailable,
        ),
        (
            |_, reply, _| reply.cut(10, Piece::Pause(Duration::from_secs(60))),
            "stalled for 700ms",
            Class::Unavailable,
        ),
        (
            |_, reply, _| Reply::new(200).body(reply.whole().slice(..1000)),
            "has 1000 bytes, expected",
            Class::Invalid,
        ),
        (
            |_, reply, _| {
                let mut bytes = reply.whole().to_vec();
                bytes[500_000] ^= 1;
                Reply::new(200).body(bytes)
            },
            "",
            Class::Invalid,
        ),
        (|_, _, _| Reply::new(404), "not found", Class::NotFound),
    ];
    for (spoil, expected, class) in cases {
        let fake = image.spoiled(spoil).await;
        let (pulled, _, store, _dir) = pull(&fake).await;
        let error = pulled.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(
            error.to_string().contains(&image.layer.digest.to_string()),
            "names the layer: {error}"
        );
        assert_eq!(error.class(), class, "{error}");
        assert_eq!(contents(&store), [""; 0], "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_promised_are_not_read() {
    let image = large();
    let fake = image
        .spoiled(|_, reply, _| {
            // Chunked, so that no length betrays it.
            let whole = reply.whole();
            let mut endless = Reply::new(200);
            endless.pieces = vec![Piece::Bytes(whole.clone()), Piece::Bytes(whole)];
            endless
        })
        .await;
    let (pulled, _, store, _dir) = pull(&fake).await;
    assert!(matches!(pulled, Err(Error::SizeMismatch { .. })), "{pulled:?}");
    assert!(contents(&store).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_checked_and_bounded() {
    let image = large();
    let oci = ferry_oci::media_type::OCI_MANIFEST;
    let lie = Digest::of(b"a lie").to_string();
    let cases: Vec<(&str, Reply)> = vec![
        (
            "is larger than the limit of 4194304 bytes",
            Reply::new(200)
                .header("content-type", oci)
                .body(vec![b' '; (4 << 20) + 1]),
        ),
        (
            "has digest",
            Reply::new(200)
                .header("content-type", oci)
                .header("docker-content-digest", lie)
                .body("{}"),
        ),
        (
            "malformed document",
            Reply::new(200).header("content-type", oci).body("{}"),
        ),
        (
            "unsupported media type",
            Reply::new(200).header("content-type", "text/html").body("{}"),
        ),
        ("answered 418", Reply::new(418).body("short and stout")),
    ];
    for (expected, reply) in cases {
        let obedient = serve(&image.content, &image.root);
        let fake = Fake::start(move |asked| {
            if asked.path.contains("/manifests/") && asked.method == http::Method::GET {
                reply.clone()
            } else if asked.path.contains("/manifests/") {
                Reply::new(405)
            } else {
                obedient(asked)
            }
        })
        .await;
        let (pulled, _, store, _dir) = pull(&fake).await;
        let error = pulled.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(contents(&store).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_digest_is_checked_against_the_bytes() {
    let image = large();
    let obedient = serve(&image.content, &image.root);
    let fake = Fake::start(move |asked| {
        let mut asked = asked.clone();
        // Serves the same image for whatever digest is asked for, and claims it too.
        if let Some(at) = asked.path.find("/manifests/sha256:") {
            asked.path.replace_range(at.., "/manifests/latest");
        }
        let mut reply = obedient(&asked);
        reply.headers.retain(|(name, _)| *name != "docker-content-digest");
        reply
    })
    .await;
    let pinned = fake.reference("app").with_digest(Digest::of(b"something else"));
    let (store, _dir) = store();
    let error = client()
        .pull(&store, &pinned, &Selection::All, &Anonymous, &Silent)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    assert!(contents(&store).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_dropped_stops_and_leaves_nothing() {
    let image = large();
    let fake = image
        .spoiled(|_, reply, _| reply.cut(100_000, Piece::Pause(Duration::from_secs(60))))
        .await;
    let (store, _dir) = store();
    let recorder = Recorder::default();
    let (client, reference) = (client(), fake.reference("app"));
    {
        let pulling = client.pull(&store, &reference, &Selection::All, &Anonymous, &recorder);
        tokio::pin!(pulling);
        loop {
            tokio::select! {
                pulled = &mut pulling => panic!("ended: {pulled:?}"),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
            let states = recorder.layers.lock().unwrap();
            if states
                .iter()
                .any(|(_, state)| matches!(state, LayerProgress::Downloading { done: 1.., .. }))
            {
                break;
            }
        }
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !contents(&store).is_empty() {
        assert!(std::time::Instant::now() < deadline, "{:?}", contents(&store));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_not_there_is_an_error_at_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (store, _dir) = store();
    for (name, expected) in [
        (format!("127.0.0.1:{port}/app"), "Connection refused"),
        ("no-such-host.invalid/app".to_owned(), "cannot connect"),
    ] {
        let reference = Reference::parse(&name).unwrap();
        let error = client()
            .pull(&store, &reference, &Selection::All, &Anonymous, &Silent)
            .await
            .unwrap_err();
        assert_eq!(error.class(), Class::Unavailable);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.hint().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_never_answers_is_given_up() {
    let image = large();
    let fake = image
        .spoiled(|_, mut reply, _| {
            reply.delay = Duration::from_secs(60);
            reply
        })
        .await;
    let mut config = config();
    config.timeouts.first_byte = Duration::from_millis(100);
    let (store, _dir) = store();
    let client = Client::new(config).unwrap();
    let pulled = client
        .pull(&store, &fake.reference("app"), &Selection::All, &Anonymous, &Silent)
        .await;
    let error = pulled.unwrap_err();
    assert!(error.to_string().contains("no answer after 100ms"), "{error}");
    assert_eq!(image.ranges(&fake).len(), 4, "as often as allowed");
    assert!(contents(&store).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_not_spoken_where_tls_is_expected() {
    let image = large();
    let fake = Fake::start(serve(&image.content, &image.root)).await;
    let certs_d = tempfile::tempdir().unwrap();
    std::fs::create_dir(certs_d.path().join(fake.address.to_string())).unwrap();
    let mut config = config();
    config.certificate_dirs = vec![certs_d.path().to_owned()];
    let (store, _dir) = store();
    let client = Client::new(config).unwrap();
    let pulled = client
        .pull(&store, &fake.reference("app"), &Selection::All, &Anonymous, &Silent)
        .await;
    let error = pulled.unwrap_err();
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    assert!(error.hint().unwrap().contains("insecure"));
    assert!(fake.log().is_empty());
}
