//! Flags about files: volumes, mounts, tmpfs, a read-only root.

use bollard_stubs::models::{ContainerCreateBody, HostConfig};
use clap::Args;

use super::{mount, pairs, some};
use crate::failure::{Explain, Failure};

/// Flags about files.
#[derive(Debug, Args)]
pub(crate) struct FileSystem {
    /// Mount a folder of the host, or a volume
    #[arg(short, long, value_name = "[SOURCE:]PATH[:ro]")]
    volume: Vec<String>,
    /// Mount the volumes of another container
    #[arg(long, value_name = "CONTAINER[:ro]")]
    volumes_from: Vec<String>,
    /// Driver of the volumes that are made
    #[arg(long, value_name = "DRIVER")]
    volume_driver: Option<String>,
    /// Mount something, in full: type=bind|volume|tmpfs|image,source=…,target=…
    #[arg(long, value_name = "OPTIONS")]
    mount: Vec<String>,
    /// Mount a tmpfs
    #[arg(long, value_name = "PATH[:OPTIONS]")]
    tmpfs: Vec<String>,
    /// Mount the root file system read-only
    #[arg(long)]
    read_only: bool,
    /// Options of the storage driver
    #[arg(long, value_name = "NAME=VALUE")]
    storage_opt: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<String>,
}

impl FileSystem {
    pub(super) fn apply(self, body: &mut ContainerCreateBody, host: &mut HostConfig) -> Result<(), Failure> {
        let mut binds = Vec::new();
        let mut anonymous = Vec::new();
        for volume in &self.volume {
            match read_volume(volume)? {
                Volume::Anonymous(path) => anonymous.push(path),
                Volume::Bind(bind) => binds.push(bind),
            }
        }
        let mounts = self
            .mount
            .iter()
            .map(|text| mount::read(text))
            .collect::<Result<_, _>>()?;
        body.volumes = some(anonymous);
        host.binds = some(binds);
        host.mounts = some(mounts);
        host.volumes_from = some(self.volumes_from);
        host.volume_driver = self.volume_driver;
        host.readonly_rootfs = Some(self.read_only);
        host.storage_opt = (!self.storage_opt.is_empty()).then(|| pairs(&self.storage_opt));
        if !self.tmpfs.is_empty() {
            host.tmpfs = Some(
                self.tmpfs
                    .iter()
                    .map(|tmpfs| match tmpfs.split_once(':') {
                        Some((path, options)) => (path.to_owned(), options.to_owned()),
                        None => (tmpfs.clone(), String::new()),
                    })
                    .collect(),
            );
        }
        if let Some(size) = self.shm_size {
            let bytes = crate::format::size::parse_binary(&size).explain(|| "cannot use --shm-size")?;
            host.shm_size = Some(bytes);
        }
        Ok(())
    }
}

/// What `-v` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Volume {
    /// A new volume without a name at this path.
    Anonymous(String),
    /// `source:path[:options]`, the source an absolute path or a volume's name.
    Bind(String),
}

fn read_volume(text: &str) -> Result<Volume, Failure> {
    let invalid = |why: &str| {
        Failure::new(format!("invalid volume {text:?}: {why}"))
            .hint("write SOURCE:PATH or SOURCE:PATH:ro, the source an absolute path or a volume's name")
    };
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [path] if path.starts_with('/') => Ok(Volume::Anonymous((*path).to_owned())),
        [_] => Err(invalid("the path in the container is not absolute")),
        [source, path] | [source, path, _] => {
            if source.is_empty() {
                return Err(invalid("the source is empty"));
            }
            if !path.starts_with('/') {
                return Err(invalid("the path in the container is not absolute"));
            }
            let rest = text.get(source.len()..).unwrap_or_default();
            Ok(Volume::Bind(format!("{}{rest}", absolute(source)?)))
        }
        _ => Err(invalid("too many colons")),
    }
}

/// A source that begins with a dot is a folder here; the engine does not know where here is.
fn absolute(source: &str) -> Result<String, Failure> {
    if !source.starts_with('.') {
        return Ok(source.to_owned());
    }
    let path = std::path::absolute(source).explain(|| format!("cannot find {source}"))?;
    // Without `..` and `.`, but links stay as the user wrote them.
    let mut clean = std::path::PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            std::path::Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
        .into_os_string()
        .into_string()
        .map_err(|path| Failure::new(format!("the path {} is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_read() {
        let here = std::env::current_dir().expect("a folder");
        let here = here.to_str().expect("UTF-8");
        let bind = |text: &str| Some(Volume::Bind(text.to_owned()));
        for (text, volume) in [
            ("/a:/b", bind("/a:/b")),
            ("/a:/b:ro,z", bind("/a:/b:ro,z")),
            ("name:/b", bind("name:/b")),
            ("./x:/b", bind(&format!("{here}/x:/b"))),
            (".:/b", bind(&format!("{here}:/b"))),
            ("/only", Some(Volume::Anonymous("/only".into()))),
            ("relative", None),
            ("/a:b", None),
            (":/b", None),
            ("a:b:c:d", None),
            ("", None),
        ] {
            assert_eq!(read_volume(text).ok(), volume, "{text}");
        }
    }
}
