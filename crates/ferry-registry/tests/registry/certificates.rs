//! Certificates made by openssl: an authority, a server on loopback, a client.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::debian_registry::has_program;

/// A folder with `ca.crt`, `server.{crt,key}` and `client.{crt,key}`.
pub(crate) struct Certificates {
    dir: tempfile::TempDir,
}

impl Certificates {
    /// Makes them, or says why this test is skipped.
    pub(crate) fn make() -> Option<Self> {
        if !has_program("openssl") {
            return None;
        }
        let certificates = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let path = certificates.dir.path();
        openssl(
            path,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-authority -keyout ca.key -out ca.crt",
        );
        for (name, extension) in [
            (
                "server",
                "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n",
            ),
            ("client", "extendedKeyUsage=clientAuth\n"),
        ] {
            std::fs::write(path.join("extension"), extension).unwrap();
            openssl(
                path,
                &format!(
                    "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
                ),
            );
            openssl(
                path,
                &format!(
                    "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile extension -out {name}.crt"
                ),
            );
        }
        Some(certificates)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A folder in `certs.d`'s layout for `host`, with the authority and, if wanted, the client.
    pub(crate) fn certs_d(&self, host: &str, files: &[(&str, &str)]) -> PathBuf {
        let certs_d = self.dir.path().join(format!("certs.d-{}", files.len()));
        let folder = certs_d.join(host);
        std::fs::create_dir_all(&folder).unwrap();
        for (from, to) in files {
            std::fs::copy(self.path(from), folder.join(to)).unwrap();
        }
        certs_d
    }
}

fn openssl(dir: &Path, arguments: &str) {
    let status = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "openssl {arguments}");
}
