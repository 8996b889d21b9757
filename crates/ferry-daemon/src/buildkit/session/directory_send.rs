//! Sends a directory to the client: the engine's side of `moby.filesync.v1.FileSend/DiffCopy`, for files.
//!
//! ```text
//! engine                                client
//!   STAT a, STAT b, …, STAT (empty)  →
//!                                    ←  REQ id          id counts STATs from 0
//!   DATA id …, DATA id (empty)       →
//!                                    ←  FIN
//!   FIN                              →
//! ```

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::{Session, SessionError, file_mode, file_send};
use crate::buildkit::transport::MAX_MESSAGE_BYTES;

/// Packets between the thread that reads files and the connection, either way.
const PACKETS_QUEUED: usize = 64;
/// Content in one packet, in bytes; BuildKit's clients send as much.
const PIECE_BYTES: usize = 32 << 10;

/// Why a directory could not be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    /// The session takes no files.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The client refused, or has gone.
    #[error("the client does not take the result: {}", .0.message())]
    Call(Box<Status>),
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that cannot be sent.
    #[error("cannot send {}: {reason}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// The client could not write.
    #[error("the client cannot write the result: {0}")]
    Client(String),
    /// The client broke the protocol.
    #[error("the client broke the FileSend protocol: {0}")]
    Protocol(&'static str),
    /// The client hung up before it had all.
    #[error("the client has gone")]
    Gone,
    /// The thread that reads the files ended without a word.
    #[error("sending the result was interrupted")]
    Interrupted,
}

/// Sends all that lies in `directory`, which must not change meanwhile.
pub(crate) async fn send(session: &Session, directory: PathBuf) -> Result<(), DirectoryError> {
    let channel = session.channel_for(file_send::METHOD)?;
    let mut client = tonic::client::Grpc::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let (to_client, from_us) = mpsc::channel(PACKETS_QUEUED);
    let (to_reader, requests) = mpsc::channel(PACKETS_QUEUED);
    let reading = tokio::task::spawn_blocking(move || {
        let mut sending = Sending {
            to_client,
            files: HashMap::new(),
            stats: 0,
        };
        sending.list(&directory, "")?;
        sending.put(PacketType::PacketStat, 0, None, Vec::new())?;
        sending.answer(requests)
    });
    let call = async move {
        client
            .ready()
            .await
            .map_err(|_closed| Status::cancelled("the client has gone"))?;
        let path = PathAndQuery::from_static(file_send::METHOD);
        let codec: ProstCodec<Packet, Packet> = ProstCodec::default();
        let request = Request::new(ReceiverStream::new(from_us));
        let mut answers = client.streaming(request, path, codec).await?.into_inner();
        while let Some(packet) = answers.message().await? {
            if to_reader.send(packet).await.is_err() {
                break;
            }
        }
        Ok::<(), Status>(())
    };
    let (called, read) = tokio::join!(call, reading);
    match read {
        // A client that has gone broke the reading, too: the client is the reason.
        Ok(Err(DirectoryError::Gone)) | Ok(Ok(())) => called.map_err(|status| DirectoryError::Call(Box::new(status))),
        Ok(Err(error)) => Err(error),
        Err(_panic) => Err(DirectoryError::Interrupted),
    }
}

/// The thread that reads.
struct Sending {
    to_client: mpsc::Sender<Packet>,
    /// Regular files by the number of their STAT.
    files: HashMap<u32, PathBuf>,
    stats: u32,
}

impl Sending {
    /// Tells of everything below `folder`, which the client knows as `name`.
    fn list(&mut self, folder: &Path, name: &str) -> Result<(), DirectoryError> {
        let failed = |source| DirectoryError::Io {
            path: folder.to_owned(),
            source,
        };
        let entries = fs::read_dir(folder).map_err(failed)?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let file_name = entry.file_name();
            let Some(file_name) = file_name.to_str() else {
                let reason = "its name is not UTF-8";
                return Err(DirectoryError::Kind { path, reason });
            };
            let name = match name {
                "" => file_name.to_owned(),
                folder => format!("{folder}/{file_name}"),
            };
            let is_directory = self.tell(&path, &name)?;
            if is_directory {
                self.list(&path, &name)?;
            }
        }
        Ok(())
    }

    /// Sends the STAT of one file, and says whether it is a directory.
    fn tell(&mut self, path: &Path, name: &str) -> Result<bool, DirectoryError> {
        let failed = |source| DirectoryError::Io {
            path: path.to_owned(),
            source,
        };
        let metadata = fs::symlink_metadata(path).map_err(failed)?;
        let Some(mode) = file_mode::from_unix(metadata.mode()) else {
            return Err(DirectoryError::Kind {
                path: path.to_owned(),
                reason: "it is a device or a socket",
            });
        };
        let link_name = match metadata.is_symlink() {
            true => fs::read_link(path).map_err(failed)?,
            false => PathBuf::new(),
        };
        if metadata.is_file() {
            self.files.insert(self.stats, path.to_owned());
        }
        self.stats += 1;
        let stat = Stat {
            path: name.to_owned(),
            mode,
            uid: metadata.uid(),
            gid: metadata.gid(),
            size: match metadata.is_file() {
                true => i64::try_from(metadata.len()).unwrap_or(i64::MAX),
                false => 0,
            },
            mod_time: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
            linkname: String::from_utf8_lossy(link_name.as_os_str().as_bytes()).into_owned(),
            ..Stat::default()
        };
        self.put(PacketType::PacketStat, 0, Some(stat), Vec::new())?;
        Ok(metadata.is_dir())
    }

    /// Sends what is asked for, until the client has all.
    fn answer(&mut self, mut requests: mpsc::Receiver<Packet>) -> Result<(), DirectoryError> {
        loop {
            let request = requests.blocking_recv().ok_or(DirectoryError::Gone)?;
            match PacketType::try_from(request.r#type) {
                Ok(PacketType::PacketReq) => self.content(request.id)?,
                Ok(PacketType::PacketFin) => return self.put(PacketType::PacketFin, 0, None, Vec::new()),
                Ok(PacketType::PacketErr) => {
                    let text = String::from_utf8_lossy(&request.data);
                    return Err(DirectoryError::Client(text.chars().take(4096).collect()));
                }
                _ => return Err(DirectoryError::Protocol("a packet that a receiver does not send")),
            }
        }
    }

    fn content(&mut self, id: u32) -> Result<(), DirectoryError> {
        // Each is asked for once, so that a client cannot have one read for ever.
        let path = self
            .files
            .remove(&id)
            .ok_or(DirectoryError::Protocol("it asked for what is no file"))?;
        let failed = |source| DirectoryError::Io {
            path: path.clone(),
            source,
        };
        let mut file = File::open(&path).map_err(failed)?;
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let count = file.read(&mut piece).map_err(failed)?;
            piece.truncate(count);
            // The empty piece at the end says that it is the end.
            self.put(PacketType::PacketData, id, None, piece)?;
            if count == 0 {
                return Ok(());
            }
        }
    }

    fn put(&self, kind: PacketType, id: u32, stat: Option<Stat>, data: Vec<u8>) -> Result<(), DirectoryError> {
        let packet = Packet {
            r#type: kind.into(),
            stat,
            id,
            data,
        };
        self.to_client
            .blocking_send(packet)
            .map_err(|_closed| DirectoryError::Gone)
    }
}
