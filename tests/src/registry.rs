//! Debian's `docker-registry` on a loopback address of the test's host: plain or TLS, open or with passwords.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::rc::Rc;

use crate::host::Host;
use crate::patience::eventually;
use crate::skip::has_program;

/// How a registry is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// http.
    Plain,
    /// https with a certificate of the test's own authority, which is in [`Registry::authority`].
    Tls,
}

/// Who may read and write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// The user `sailor` with the password `s3a-water`.
    Password,
}

/// A registry that ends with its value.
#[derive(Debug)]
pub struct Registry {
    /// What image names begin with: `127.0.0.1:5000`.
    pub address: String,
    folder: PathBuf,
    host: Rc<Host>,
    server: Option<Child>,
}

impl Registry {
    /// Starts one on `127.0.0.1:5000`; `None`, said aloud, without the program.
    pub fn start(host: &Rc<Host>) -> Option<Self> {
        Self::at(host, "127.0.0.1:5000", Transport::Plain, Access::Open)
    }

    /// Starts one at `address`, which is loopback's or was added to it.
    pub fn at(host: &Rc<Host>, address: &str, transport: Transport, access: Access) -> Option<Self> {
        if !has_program("docker-registry") {
            return None;
        }
        let folder = host.path(format!("registry-{}", address.replace([':', '.'], "-")));
        fs::create_dir_all(&folder).expect("a folder for the registry");
        let mut registry = Self {
            address: address.to_owned(),
            folder,
            host: Rc::clone(host),
            server: None,
        };
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\nlog: {{level: error, accesslog: {{disabled: true}}}}\nhttp:\n  addr: {address}\n",
            registry.folder.join("data").display(),
        );
        if transport == Transport::Tls {
            if !has_program("openssl") {
                return None;
            }
            registry.make_certificates();
            let (certificate, key) = (registry.folder.join("server.crt"), registry.folder.join("server.key"));
            config.push_str(&format!(
                "  tls: {{certificate: {}, key: {}}}\n",
                certificate.display(),
                key.display()
            ));
        }
        if access == Access::Password {
            if !has_program("htpasswd") {
                return None;
            }
            let file = registry.folder.join("passwords");
            let line = host.sh("htpasswd -Bbn sailor s3a-water").succeeds();
            fs::write(&file, line.stdout).expect("a password file");
            config.push_str(&format!(
                "auth:\n  htpasswd: {{realm: harbour, path: {}}}\n",
                file.display()
            ));
        }
        fs::write(registry.folder.join("config.yml"), config).expect("a configuration");
        registry.serve();
        Some(registry)
    }

    /// The authority that signed its certificate, in PEM.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.crt")
    }

    /// Folder of what was pushed.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Ends it at once; what was pushed stays.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Starts it, again or for the first time, and waits until it listens.
    pub fn serve(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("a log");
        let server = self
            .host
            .shell()
            .command("docker-registry")
            .arg("serve")
            .arg(self.folder.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second descriptor"))
            .stderr(log)
            .spawn()
            .expect("docker-registry can be run");
        self.server = Some(server);
        eventually("the registry listens", || TcpStream::connect(&self.address).ok());
    }

    /// An authority and a certificate for this address, signed by it: an authority's own certificate may not serve.
    fn make_certificates(&self) {
        let ip = self
            .address
            .rsplit_once(':')
            .map_or(self.address.as_str(), |(ip, _)| ip);
        self.host.shell().in_folder(&self.folder).sh(&format!(
            "set -e
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=harbour-authority \
                -keyout authority.key -out authority.crt
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=harbour -keyout server.key -out server.csr
            printf 'subjectAltName=IP:{ip},DNS:localhost\nbasicConstraints=CA:FALSE\n' >extensions
            openssl x509 -req -in server.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 30 \
                -extfile extensions -out server.crt"
        )).succeeds();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.kill();
    }
}
