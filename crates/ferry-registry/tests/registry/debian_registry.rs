//! Debian's `docker-registry` on a free port of loopback, with a folder of its own; ends with the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ferry_oci::Reference;

/// What a registry asks of its clients.
#[derive(Default)]
pub(crate) struct Options {
    /// A line of an htpasswd file, with bcrypt.
    pub(crate) htpasswd: Option<&'static str>,
    /// Certificate and key of the server.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// The authority of client certificates, which are then required.
    pub(crate) client_authority: Option<PathBuf>,
}

/// A running registry.
pub(crate) struct DebianRegistry {
    child: Child,
    pub(crate) port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for DebianRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl DebianRegistry {
    /// Starts one, or says why this test is skipped.
    pub(crate) fn start(options: &Options) -> Option<Self> {
        if !has_program("docker-registry") {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        // The port is free now; the registry takes it at once.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.path().join("config.yml");
        std::fs::write(&config, configuration(dir.path(), port, options)).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { child, port, _dir: dir };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(registry)
    }

    pub(crate) fn domain(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn reference(&self, path: &str) -> Reference {
        Reference::parse(&format!("{}/{path}", self.domain())).unwrap()
    }
}

fn configuration(dir: &Path, port: u16, options: &Options) -> String {
    let mut text = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n",
        dir.join("data").display()
    );
    if let Some((certificate, key)) = &options.tls {
        text += &format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            certificate.display(),
            key.display()
        );
        if let Some(authority) = &options.client_authority {
            text += &format!("    clientcas:\n      - {}\n", authority.display());
        }
    }
    if let Some(line) = options.htpasswd {
        let path = dir.join("htpasswd");
        std::fs::write(&path, format!("{line}\n")).unwrap();
        text += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", path.display());
    }
    text
}

/// Whether a program is installed; says so aloud if not.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_found = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    if !is_found {
        eprintln!("skipped: needs {name}");
    }
    is_found
}
