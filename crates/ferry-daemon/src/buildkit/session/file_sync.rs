//! Receives a directory of the client: the engine's side of `moby.filesync.v1.FileSync/DiffCopy`.
//!
//! ```text
//! client                                engine
//!   STAT a, STAT b, …, STAT (empty)  →
//!                                    ←  REQ id          only what is lacking; id counts STATs from 0
//!   DATA id …, DATA id (empty)       →
//!                                    ←  FIN
//!   FIN                              →
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_client::FileSyncClient;
use ferry_engine::build::context::{ContextError, Entry, EntryKind, Need, PathError, Receiving, Tree};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use super::file_mode::{self, FileType};
use super::{Session, SessionError, metadata};
use crate::buildkit::transport::MAX_MESSAGE_BYTES;

const METHOD: &str = "/moby.filesync.v1.FileSync/DiffCopy";

/// Files whose content is on its way at once, which bounds the files that are open.
const MAX_IN_FLIGHT: usize = 64;
/// Packets between the connection and the thread that writes files.
const PACKETS_QUEUED: usize = 16;
/// How long the client may take to say goodbye once everything has come.
const GOODBYE: Duration = Duration::from_secs(10);

/// Which of a client's files to receive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SyncRequest {
    /// The name that the client gave the directory: `context`, `dockerfile`.
    pub directory: String,
    /// Only these, with wildcards, and what links among them point at; empty means all.
    pub follow_paths: Vec<String>,
    /// Only what one of these matches; empty means all.
    pub include_patterns: Vec<String>,
    /// Not what these match; lines of an ignore file.
    pub exclude_patterns: Vec<String>,
}

/// Why a client's directory could not be received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// The session cannot send files.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The call failed, on the client's side or on the way.
    #[error("cannot receive the directory {directory:?}: {}", status.message())]
    Call {
        /// The directory's name.
        directory: String,
        /// Why.
        status: Box<Status>,
    },
    /// The client could not read its own files.
    #[error("the client cannot send the directory {directory:?}: {message}")]
    Client {
        /// The directory's name.
        directory: String,
        /// What the client said, cut to what a message can hold.
        message: String,
    },
    /// The client broke the protocol.
    #[error("the client broke the FileSync protocol: {0}")]
    Protocol(&'static str),
    /// A file of a kind that cannot be part of a build context.
    #[error("build context: {path} is a device or no regular file; exclude it by .dockerignore")]
    Kind {
        /// The file, as the client named it.
        path: String,
    },
    /// The listing is hostile, or files could not be written.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The thread that writes files ended without a word.
    #[error("the reception of a build context was interrupted")]
    Interrupted,
}

impl From<PathError> for SyncError {
    fn from(error: PathError) -> Self {
        Self::Context(error.into())
    }
}

/// A directory of the client that has come.
#[derive(Debug)]
pub(crate) struct Received {
    /// Its files.
    pub tree: Arc<Tree>,
    /// Bytes of content that crossed the connection.
    pub content_bytes: u64,
}

/// Receives the files that `request` names into `receiving`. Dropping the future leaves nothing behind.
pub(crate) async fn receive(
    session: &Session,
    request: &SyncRequest,
    receiving: Receiving,
) -> Result<Received, SyncError> {
    let (to_client, from_us) = mpsc::channel(MAX_IN_FLIGHT + PACKETS_QUEUED);
    let mut packets = call(session, request, from_us).await?;
    let (to_writer, from_client) = mpsc::channel(PACKETS_QUEUED);
    let directory = request.directory.clone();
    let writer = tokio::task::spawn_blocking(move || Reception::new(receiving, directory, to_client).run(from_client));

    // The writer hangs up when it has all it needs, or when it failed.
    loop {
        let packet = tokio::select! {
            () = to_writer.closed() => break,
            packet = packets.message() => packet,
        };
        match packet {
            Ok(Some(packet)) => {
                if to_writer.send(packet).await.is_err() {
                    break;
                }
            }
            Ok(None) => break,
            Err(status) => {
                return Err(SyncError::Call {
                    directory: request.directory.clone(),
                    status: Box::new(status),
                });
            }
        }
    }
    drop(to_writer);
    let (received, to_client) = writer.await.map_err(|_panic| SyncError::Interrupted)??;
    // Everything is here; a client that does not say goodbye changes nothing about that.
    let goodbye = async { while let Ok(Some(_)) = packets.message().await {} };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    drop(to_client);
    Ok(received)
}

async fn call(
    session: &Session,
    request: &SyncRequest,
    from_us: mpsc::Receiver<Packet>,
) -> Result<Streaming<Packet>, SyncError> {
    let mut client = FileSyncClient::new(session.channel_for(METHOD)?)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let mut call = Request::new(ReceiverStream::new(from_us));
    let keys = call.metadata_mut();
    let directory = std::slice::from_ref(&request.directory);
    metadata::append(keys, "dir-name", directory);
    metadata::append(keys, "followpaths", &request.follow_paths);
    metadata::append(keys, "include-patterns", &request.include_patterns);
    metadata::append(keys, "exclude-patterns", &request.exclude_patterns);
    match client.diff_copy(call).await {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(SyncError::Call {
            directory: request.directory.clone(),
            status: Box::new(status),
        }),
    }
}

/// The engine's side of the protocol, on the thread that writes the files.
struct Reception {
    receiving: Receiving,
    directory: String,
    to_client: mpsc::Sender<Packet>,
    /// STATs so far; a file's id is its number among them.
    stats: u32,
    /// Entries so far: STATs less sockets, which are left out.
    entries: u32,
    listing: bool,
    /// Ids that have to be asked for, with the number of their entry.
    lacking: VecDeque<(u32, u32)>,
    /// Ids that were asked for, with the number of their entry.
    in_flight: HashMap<u32, u32>,
    content_bytes: u64,
}

impl Reception {
    fn new(receiving: Receiving, directory: String, to_client: mpsc::Sender<Packet>) -> Self {
        Self {
            receiving,
            directory,
            to_client,
            stats: 0,
            entries: 0,
            listing: true,
            lacking: VecDeque::new(),
            in_flight: HashMap::new(),
            content_bytes: 0,
        }
    }

    /// Takes packets until nothing is lacking, then makes the tree.
    fn run(mut self, mut packets: mpsc::Receiver<Packet>) -> Result<(Received, mpsc::Sender<Packet>), SyncError> {
        while !self.is_complete() {
            let Some(packet) = packets.blocking_recv() else {
                return Err(SyncError::Protocol("the stream ended too early"));
            };
            self.take(packet)?;
            self.ask()?;
        }
        self.send(PacketType::PacketFin, 0)?;
        let received = Received {
            tree: self.receiving.finish()?,
            content_bytes: self.content_bytes,
        };
        Ok((received, self.to_client))
    }

    fn is_complete(&self) -> bool {
        !self.listing && self.lacking.is_empty() && self.in_flight.is_empty()
    }

    fn take(&mut self, packet: Packet) -> Result<(), SyncError> {
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::PacketStat) if !self.listing => Err(SyncError::Protocol("a file after the end of the list")),
            Ok(PacketType::PacketStat) => match packet.stat {
                Some(stat) => self.stat(stat),
                None => {
                    self.listing = false;
                    Ok(())
                }
            },
            Ok(PacketType::PacketData) => self.data(packet.id, &packet.data),
            Ok(PacketType::PacketErr) => Err(SyncError::Client {
                directory: self.directory.clone(),
                message: String::from_utf8_lossy(&packet.data).chars().take(4096).collect(),
            }),
            Ok(PacketType::PacketFin) => Err(SyncError::Protocol("it ended before all had come")),
            Ok(PacketType::PacketReq) => Err(SyncError::Protocol("it asked the engine for files")),
            Err(_) => Err(SyncError::Protocol("a packet of unknown type")),
        }
    }

    fn stat(&mut self, stat: Stat) -> Result<(), SyncError> {
        let id = self.stats;
        self.stats = self.stats.checked_add(1).ok_or(ContextError::TooMany)?;
        let Some(entry) = entry_of(stat)? else {
            return Ok(());
        };
        let number = self.entries;
        self.entries += 1;
        if self.receiving.entry(entry)? == Need::Content {
            self.lacking.push_back((id, number));
        }
        Ok(())
    }

    fn data(&mut self, id: u32, bytes: &[u8]) -> Result<(), SyncError> {
        let number = *self
            .in_flight
            .get(&id)
            .ok_or(SyncError::Protocol("content that was not asked for"))?;
        self.content_bytes += bytes.len() as u64;
        if !bytes.is_empty() {
            return Ok(self.receiving.content(number, bytes)?);
        }
        self.in_flight.remove(&id);
        Ok(self.receiving.content_end(number)?)
    }

    /// Asks for what is lacking, never for more at once than the channel to the client holds: a full
    /// channel would keep us from reading, and a client that cannot write does not read either.
    fn ask(&mut self) -> Result<(), SyncError> {
        while self.in_flight.len() < MAX_IN_FLIGHT
            && let Some((id, number)) = self.lacking.pop_front()
        {
            self.in_flight.insert(id, number);
            self.send(PacketType::PacketReq, id)?;
        }
        Ok(())
    }

    fn send(&self, kind: PacketType, id: u32) -> Result<(), SyncError> {
        let packet = Packet {
            r#type: kind.into(),
            stat: None,
            id,
            data: Vec::new(),
        };
        self.to_client
            .blocking_send(packet)
            .map_err(|_closed| SyncError::Protocol("the stream closed too early"))
    }
}

/// Receives what a client sent as `packets`; nobody hears what is asked.
#[cfg(any(test, fuzzing))]
pub(crate) fn receive_packets(receiving: Receiving, packets: Vec<Packet>) -> Result<Received, SyncError> {
    let (to_client, _from_us) = mpsc::channel(packets.len() + MAX_IN_FLIGHT + PACKETS_QUEUED);
    let (to_writer, from_client) = mpsc::channel(packets.len().max(1));
    for packet in packets {
        let _ = to_writer.try_send(packet);
    }
    drop(to_writer);
    let reception = Reception::new(receiving, "context".to_owned(), to_client);
    reception.run(from_client).map(|(received, _to_client)| received)
}

/// The entry that a STAT describes; `None` for a socket, which is nothing without its process.
///
/// Owners and extended attributes are not used: a context means the same whoever sends it.
fn entry_of(stat: Stat) -> Result<Option<Entry>, SyncError> {
    let kind = match file_mode::file_type(stat.mode) {
        Some(FileType::Regular) if !stat.linkname.is_empty() => EntryKind::HardLink {
            target: stat.linkname.parse()?,
        },
        Some(FileType::Regular) => EntryKind::File {
            size_bytes: u64::try_from(stat.size).map_err(|_negative| SyncError::Protocol("a file of negative size"))?,
        },
        Some(FileType::Directory) => EntryKind::Directory,
        Some(FileType::SymbolicLink) => EntryKind::SymbolicLink { target: stat.linkname },
        Some(FileType::Fifo) => EntryKind::Fifo,
        Some(FileType::Socket) => return Ok(None),
        Some(FileType::Device) | None => return Err(SyncError::Kind { path: stat.path }),
    };
    Ok(Some(Entry {
        path: stat.path.parse()?,
        kind,
        mode: file_mode::permissions(stat.mode),
        modified_ns: stat.mod_time,
    }))
}
