//! Whom to trust: the host's authorities, and Docker's `certs.d` for single registries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::Error;

/// A certificate or key file may not be larger: a bundle of all public authorities has 200 kB.
const MAX_FILE_LEN_BYTES: u64 = 4 << 20;

/// The extra authorities and the client certificate of one registry.
pub(crate) struct RegistryCertificates {
    authorities: Vec<CertificateDer<'static>>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    folder: PathBuf,
}

/// The folder of `host` (`name[:port]`) in the first of `dirs` that has one.
pub(crate) fn certificate_folder(dirs: &[PathBuf], host: &str) -> Option<PathBuf> {
    if host.contains('/') || host.starts_with('.') {
        return None;
    }
    dirs.iter().map(|dir| dir.join(host)).find(|folder| folder.is_dir())
}

impl RegistryCertificates {
    /// Reads `*.crt` (authorities) and the pairs of `*.cert` and `*.key` (client certificates; the
    /// first pair counts). Source: Docker's documentation, "Verify repository client with certificates".
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let fail = |path: &Path, problem: String| Error::Certificates {
            path: path.to_owned(),
            problem,
        };
        let entries = std::fs::read_dir(folder).map_err(|error| fail(folder, error.to_string()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let mut certificates = Self {
            authorities: Vec::new(),
            client: None,
            folder: folder.to_owned(),
        };
        for path in &files {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => certificates.authorities.extend(read_certificates(path)?),
                Some("cert") => {
                    let key_path = path.with_extension("key");
                    if !key_path.is_file() {
                        return Err(fail(path, format!("missing key {}", key_path.display())));
                    }
                    if certificates.client.is_none() {
                        let key = PrivateKeyDer::from_pem_slice(&read_file(&key_path)?)
                            .map_err(|error| fail(&key_path, error.to_string()))?;
                        certificates.client = Some((read_certificates(path)?, key));
                    }
                }
                Some("key") if !path.with_extension("cert").is_file() => {
                    return Err(fail(
                        path,
                        "key without a certificate (*.cert) of the same name".to_owned(),
                    ));
                }
                _ => {}
            }
        }
        Ok(certificates)
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let fail = |problem: String| Error::Certificates {
        path: path.to_owned(),
        problem,
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&read_file(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| fail(error.to_string()))?;
    if certificates.is_empty() {
        return Err(fail("no certificate in this file".to_owned()));
    }
    Ok(certificates)
}

fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let fail = |problem: String| Error::Certificates {
        path: path.to_owned(),
        problem,
    };
    let file = std::fs::File::open(path).map_err(|error| fail(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_LEN_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE_LEN_BYTES {
        return Err(fail(format!("larger than {MAX_FILE_LEN_BYTES} bytes")));
    }
    Ok(bytes)
}

/// The authorities that this host trusts.
pub(crate) fn host_authorities() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read a trusted certificate");
    }
    let mut roots = RootCertStore::empty();
    // Hosts carry odd certificates; those that cannot be read are not trusted.
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(
        trusted = roots.len(),
        ignored,
        "read the host's certificate authorities"
    );
    roots
}

/// TLS that verifies the server: against `roots` and what `registry` adds.
pub(crate) fn verified(roots: &RootCertStore, registry: Option<RegistryCertificates>) -> Result<ClientConfig, Error> {
    let mut roots = roots.clone();
    let mut client = None;
    let mut folder = PathBuf::new();
    if let Some(certificates) = registry {
        roots.add_parsable_certificates(certificates.authorities);
        client = certificates.client;
        folder = certificates.folder;
    }
    if roots.is_empty() {
        return Err(Error::NoAuthorities);
    }
    let builder = builder()?.with_root_certificates(roots);
    match client {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| Error::Certificates {
                path: folder,
                problem: error.to_string(),
            }),
    }
}

/// TLS without knowing the server: only for registries that the user listed as insecure, and loopback.
pub(crate) fn unverified() -> Result<ClientConfig, Error> {
    let verifier = Unverified(Arc::new(ring::default_provider()));
    Ok(builder()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// TLS that accepts no server: stands where no TLS is expected.
pub(crate) fn trusting_nobody() -> Result<ClientConfig, Error> {
    Ok(builder()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// Names the provider: with several compiled in, rustls would have no default.
fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Setting {
            setting: "TLS versions",
            problem: error.to_string(),
        })
}

/// Takes any certificate; the handshake's signatures still have to fit it.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
