//! Sends folders of ours: the client's side of `moby.filesync.v1.FileSync/DiffCopy`.
//!
//! ```text
//! client                                engine
//!   STAT a, STAT b, …, STAT (empty)  →
//!                                    ←  REQ id          only what it lacks; ids count the STATs from 0
//!   DATA id …, DATA id (empty)       →
//!                                    ←  FIN
//!   FIN                              →
//! ```

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bollard_buildkit_proto::fsutil::types::Packet;
use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::metadata;
use crate::build::context::{Asked, Folder, WalkError};
use crate::failure::{Explain, Failure, describe};

/// Content in one packet (bytes).
const PIECE: usize = 64 << 10;
/// Packets that wait for the connection.
const QUEUED: usize = 32;

/// Folders by the names that the engine asks for them by.
pub(super) struct FileSync {
    folders: BTreeMap<String, PathBuf>,
    /// Holds a Dockerfile that came by stdin; removed with the session.
    _written: Option<Scratch>,
}

/// A folder of our own that is removed when it is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl FileSync {
    pub(super) fn new(mut folders: BTreeMap<String, PathBuf>, dockerfile: Option<Vec<u8>>) -> Result<Self, Failure> {
        let mut written = None;
        if let Some(text) = dockerfile {
            let scratch = write_dockerfile(&text).explain(|| "cannot keep the Dockerfile of stdin")?;
            folders.insert("dockerfile".to_owned(), scratch.0.clone());
            // Without a context there is nothing but the Dockerfile.
            folders.entry("context".to_owned()).or_insert_with(|| scratch.0.clone());
            written = Some(scratch);
        }
        Ok(Self {
            folders,
            _written: written,
        })
    }
}

fn write_dockerfile(text: &[u8]) -> io::Result<Scratch> {
    use std::os::unix::fs::DirBuilderExt;
    let path = std::env::temp_dir().join(format!("ferry-build-{}", crate::build::identity::new()));
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    let scratch = Scratch(path);
    std::fs::write(scratch.0.join("Dockerfile"), text)?;
    Ok(scratch)
}

type Packets = Pin<Box<dyn Stream<Item = Result<Packet, Status>> + Send>>;
type Sending = mpsc::Sender<Result<Packet, Status>>;
/// Regular files by the number of their STAT.
type Known = Arc<Mutex<HashMap<u32, String>>>;

#[tonic::async_trait]
impl file_sync_server::FileSync for FileSync {
    type DiffCopyStream = Packets;
    type TarStreamStream = Packets;

    async fn diff_copy(&self, request: Request<Streaming<Packet>>) -> Result<Response<Self::DiffCopyStream>, Status> {
        let name = metadata::list(request.metadata(), "dir-name").pop().unwrap_or_default();
        let asked = Asked {
            follow: metadata::list(request.metadata(), "followpaths"),
            include: metadata::list(request.metadata(), "include-patterns"),
            exclude: metadata::list(request.metadata(), "exclude-patterns"),
        };
        let path = self
            .folders
            .get(&name)
            .ok_or_else(|| Status::not_found(format!("no access allowed to dir {name:?}")))?;
        let folder =
            Folder::open(path).map_err(|error| Status::unknown(format!("cannot open {}: {error}", path.display())))?;
        let (sending, packets) = mpsc::channel(QUEUED);
        serve(Arc::new(folder), asked, request.into_inner(), sending);
        Ok(Response::new(Box::pin(ReceiverStream::new(packets))))
    }

    async fn tar_stream(&self, _: Request<Streaming<Packet>>) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("not served: use DiffCopy"))
    }
}

/// Lists the folder on one thread and sends content on another, as the engine asks for it.
fn serve(folder: Arc<Folder>, asked: Asked, mut from_engine: Streaming<Packet>, sending: Sending) {
    let known = Known::default();
    let (requests, requested) = mpsc::unbounded_channel();
    let listing = {
        let (folder, known, sending) = (folder.clone(), known.clone(), sending.clone());
        move || {
            if let Err(error) = list(&folder, &asked, &known, &sending) {
                let _ = sending.blocking_send(Err(Status::unknown(describe(&error))));
            }
        }
    };
    tokio::task::spawn_blocking(listing);
    {
        let sending = sending.clone();
        tokio::task::spawn_blocking(move || contents(&folder, &known, requested, &sending));
    }
    tokio::spawn(async move {
        while let Ok(Some(packet)) = from_engine.message().await {
            match packet.r#type() {
                PacketType::PacketReq => {
                    if requests.send(packet.id).is_err() {
                        return;
                    }
                }
                PacketType::PacketFin => {
                    let _ = sending.send(Ok(of_type(PacketType::PacketFin))).await;
                    return;
                }
                // The engine's error reaches the user as the build's.
                PacketType::PacketErr => return,
                PacketType::PacketStat | PacketType::PacketData => {}
            }
        }
    });
}

fn list(folder: &Folder, asked: &Asked, known: &Known, sending: &Sending) -> Result<(), WalkError> {
    let send = |packet| sending.blocking_send(Ok(packet)).map_err(|_| WalkError::Unwanted);
    let mut number = 0;
    folder.walk(asked, &mut |entry| {
        if entry.is_regular
            && let Ok(mut known) = known.lock()
        {
            known.insert(number, entry.path.clone());
        }
        number += 1;
        send(Packet {
            stat: Some(entry.stat()),
            ..of_type(PacketType::PacketStat)
        })
    })?;
    send(of_type(PacketType::PacketStat))
}

/// Sends the files that are asked for, until nobody asks any more.
fn contents(folder: &Folder, known: &Known, mut requested: mpsc::UnboundedReceiver<u32>, sending: &Sending) {
    while let Some(number) = requested.blocking_recv() {
        let path = known.lock().ok().and_then(|known| known.get(&number).cloned());
        let sent = match path {
            Some(path) => content(folder, number, &path, sending),
            None => Err(Status::invalid_argument(format!("invalid file id {number}"))),
        };
        if let Err(status) = sent {
            let _ = sending.blocking_send(Err(status));
            return;
        }
    }
}

fn content(folder: &Folder, number: u32, path: &str, sending: &Sending) -> Result<(), Status> {
    let unreadable = |error: io::Error| Status::unknown(format!("cannot read {path} in the build context: {error}"));
    let mut file = folder.content(path).map_err(unreadable)?;
    loop {
        let mut data = vec![0; PIECE];
        let read = match file.read(&mut data) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        data.truncate(read);
        let packet = Packet {
            id: number,
            data,
            ..of_type(PacketType::PacketData)
        };
        // The empty packet is the end of the file.
        if sending.blocking_send(Ok(packet)).is_err() || read == 0 {
            return Ok(());
        }
    }
}

fn of_type(kind: PacketType) -> Packet {
    Packet {
        r#type: kind.into(),
        ..Packet::default()
    }
}
