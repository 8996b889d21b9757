//! Debian's registry behind TLS: authorities and client certificates from `certs.d`.

use std::path::PathBuf;

use ferry_registry::{Anonymous, Class, Client, Config, Error, PartialIndex, Push, Selection, Silent, TransportError};

use crate::certificates::Certificates;
use crate::debian_registry::{DebianRegistry, Options};
use crate::image::{Format, TwoPlatforms};
use crate::recorder::{config, store};

fn client(certs_d: Option<PathBuf>) -> Client {
    Client::new(Config {
        certificate_dirs: certs_d.into_iter().collect(),
        ..config()
    })
    .unwrap()
}

async fn push_and_pull(client: &Client, registry: &DebianRegistry) -> Result<(), Error> {
    let image = TwoPlatforms::new(Format::Oci);
    let (from, _from_dir) = store();
    image.content.store_in(&from, &image.layers());
    let push = Push {
        reference: registry.reference("tls/app"),
        target: image.index.clone(),
        selection: Selection::All,
        partial: PartialIndex::Refuse,
    };
    client.push(&from, &push, &Anonymous, &Silent).await?;
    let (to, _to_dir) = store();
    let pulled = client
        .pull(&to, &push.reference, &Selection::All, &Anonymous, &Silent)
        .await?;
    assert_eq!(pulled.digest(), image.index.digest());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_come_from_certs_d() {
    let Some(certificates) = Certificates::make() else {
        return;
    };
    let options = Options {
        tls: Some((certificates.path("server.crt"), certificates.path("server.key"))),
        ..Options::default()
    };
    let Some(registry) = DebianRegistry::start(&options) else {
        return;
    };
    let right = certificates.certs_d(&registry.domain(), &[("ca.crt", "ca.crt")]);
    push_and_pull(&client(Some(right)), &registry).await.unwrap();
    // Loopback needs no authority, as in Docker, and finds TLS by itself.
    push_and_pull(&client(None), &registry).await.unwrap();
    // A folder with another authority means: verify. There is no way back to less.
    let wrong = certificates.certs_d(&registry.domain(), &[("client.crt", "ca.crt"), ("ca.crt", "ignored")]);
    let error = push_and_pull(&client(Some(wrong)), &registry).await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Transport {
                cause: TransportError::Certificate(_),
                ..
            }
        ),
        "{error} {error:?}"
    );
    assert!(error.hint().unwrap().contains("certs.d"));
    let broken = certificates.certs_d(
        &registry.domain(),
        &[("ca.crt", "a.crt"), ("ca.crt", "b.cert"), ("ca.crt", "c")],
    );
    let error = push_and_pull(&client(Some(broken)), &registry).await.unwrap_err();
    assert_eq!(error.class(), Class::Internal);
    assert!(error.to_string().contains("b.cert: missing key"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates_come_from_certs_d() {
    let Some(certificates) = Certificates::make() else {
        return;
    };
    let options = Options {
        tls: Some((certificates.path("server.crt"), certificates.path("server.key"))),
        client_authority: Some(certificates.path("ca.crt")),
        ..Options::default()
    };
    let Some(registry) = DebianRegistry::start(&options) else {
        return;
    };
    let without = certificates.certs_d(&registry.domain(), &[("ca.crt", "ca.crt")]);
    let error = push_and_pull(&client(Some(without)), &registry).await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error}");
    let files = [
        ("ca.crt", "ca.crt"),
        ("client.crt", "me.cert"),
        ("client.key", "me.key"),
    ];
    let with = certificates.certs_d(&registry.domain(), &files);
    push_and_pull(&client(Some(with)), &registry).await.unwrap();
}
