//! Small files that outlive a crash: versioned JSON, written whole or not at all.
//!
//! A record is written beside its place, renamed over it, and synced as its [`Durability`] asks. A
//! crash leaves the old record or the new one. Types that are stored are separate from the engine's
//! own, and say their version.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::RecordError;

/// Largest record that is read, in bytes.
pub const MAX_LEN_BYTES: u64 = 16 << 20;

/// A type that is stored as a record.
pub trait Record: Serialize + DeserializeOwned {
    /// Its version; counted up when a reader of the old form could not understand the new one.
    const VERSION: u32;

    /// Understands what version `found` wrote; `None` if that is not known.
    fn upgrade(found: u32, body: serde_json::Value) -> Option<Self> {
        let _ = (found, body);
        None
    }
}

/// What a power cut may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing that was acknowledged: file and folder are synced.
    Durable,
    /// Whatever the kernel has not written: for what is gone after a boot anyway.
    Volatile,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    version: u32,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Writes `value` to `path`, which is then wholly the new record or wholly the old one.
pub fn write(path: &Path, value: &impl Record, durability: Durability) -> Result<(), Error> {
    let json = to_json(path, value)?;
    write_bytes(path, &json, durability)
}

/// [`write()`] that survives a power cut: write, fsync, rename, fsync of the folder.
pub fn write_durable(path: &Path, value: &impl Record) -> Result<(), Error> {
    write(path, value, Durability::Durable)
}

/// Reads the record at `path`; `None` if there is none.
pub fn read<T: Record>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match read_bounded(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    let malformed = |error: serde_json::Error| Error::Record {
        path: path.to_owned(),
        reason: RecordError::Malformed(error),
    };
    let Version { version } = serde_json::from_slice(&bytes).map_err(malformed)?;
    if version == T::VERSION {
        return serde_json::from_slice(&bytes).map(Some).map_err(malformed);
    }
    let body = serde_json::from_slice(&bytes).map_err(malformed)?;
    T::upgrade(version, body).map(Some).ok_or_else(|| Error::Record {
        path: path.to_owned(),
        reason: RecordError::Version {
            found: version,
            known: T::VERSION,
        },
    })
}

/// Removes the record at `path`, durably if asked; no error if there is none.
pub fn remove(path: &Path, durability: Durability) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::file("remove", path)(error)),
    }
    sync_folder(path, durability)
}

/// Replaces the file at `path` by `bytes` in one step.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), Error> {
    let beside = name_beside(path);
    let written = (|| {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        if durability == Durability::Durable {
            file.sync_all()?;
        }
        fs::rename(&beside, path)
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(Error::file("write", path)(error));
    }
    sync_folder(path, durability)
}

fn to_json<T: Record>(path: &Path, value: &T) -> Result<Vec<u8>, Error> {
    let envelope = Envelope {
        version: T::VERSION,
        body: value,
    };
    let mut json = serde_json::to_vec_pretty(&envelope).map_err(|error| Error::Record {
        path: path.to_owned(),
        reason: RecordError::Malformed(error),
    })?;
    json.push(b'\n');
    Ok(json)
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LEN_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn sync_folder(path: &Path, durability: Durability) -> Result<(), Error> {
    match (durability, path.parent()) {
        (Durability::Durable, Some(folder)) => File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(Error::file("sync", folder)),
        _ => Ok(()),
    }
}

/// A hidden name in the same folder that nobody else uses; leftovers start with `.new-`.
fn name_beside(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".new-{}-{count}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Greeting {
        text: String,
    }

    impl Record for Greeting {
        const VERSION: u32 = 2;

        fn upgrade(found: u32, body: serde_json::Value) -> Option<Self> {
            let text = body["old_text"].as_str()?.to_owned();
            (found == 1).then_some(Self { text })
        }
    }

    #[test]
    fn records_are_read_as_written_and_leave_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greeting.json");
        assert_eq!(read::<Greeting>(&path).unwrap(), None);
        for durability in [Durability::Durable, Durability::Volatile] {
            let greeting = Greeting {
                text: format!("{durability:?}"),
            };
            write(&path, &greeting, durability).unwrap();
            assert_eq!(read::<Greeting>(&path).unwrap(), Some(greeting));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        remove(&path, Durability::Durable).unwrap();
        remove(&path, Durability::Durable).unwrap();
    }

    #[test]
    fn old_versions_are_upgraded_and_newer_ones_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greeting.json");
        fs::write(&path, r#"{"version":1,"old_text":"hello"}"#).unwrap();
        assert_eq!(read::<Greeting>(&path).unwrap().unwrap().text, "hello");
        fs::write(&path, r#"{"version":3}"#).unwrap();
        let error = read::<Greeting>(&path).unwrap_err();
        assert!(matches!(
            error,
            Error::Record {
                reason: RecordError::Version { found: 3, known: 2 },
                ..
            }
        ));
        fs::write(&path, "").unwrap();
        assert!(read::<Greeting>(&path).is_err());
    }
}
