//! Sessions over an in-memory connection, with a client that serves real gRPC.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::{FileSync, FileSyncServer};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::file_send_server::{FileSend, FileSendServer};
use bollard_buildkit_proto::moby::filesync::v1::{
    BytesMessage, CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use bollard_buildkit_proto::moby::upload::v1::BytesMessage as UploadMessage;
use bollard_buildkit_proto::moby::upload::v1::upload_server::{Upload, UploadServer};
use ferry_engine::build::context::{ContextKey, Contexts};
use ferry_registry::{Credential, Credentials};
use futures_util::Stream;
use http::{HeaderMap, HeaderValue};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::auth::SessionCredentials;
use super::file_sync::{self, SyncError, SyncRequest};
use super::*;
use crate::buildkit::transport;

const SOON: Duration = Duration::from_secs(20);

/// A client whose directory holds `files`, or that sends `script` whatever it is asked.
#[derive(Clone, Default)]
struct Client {
    files: BTreeMap<String, Vec<u8>>,
    script: Option<Vec<Packet>>,
    asked: Arc<Mutex<Vec<String>>>,
    metadata: Arc<Mutex<Vec<(String, String)>>>,
}

type Packets = Pin<Box<dyn Stream<Item = Result<Packet, Status>> + Send>>;

#[tonic::async_trait]
impl FileSync for Client {
    type DiffCopyStream = Packets;
    type TarStreamStream = Packets;

    async fn diff_copy(&self, request: Request<Streaming<Packet>>) -> Result<Response<Packets>, Status> {
        for pair in request.metadata().iter() {
            if let tonic::metadata::KeyAndValueRef::Ascii(key, value) = pair {
                let value = value.to_str().unwrap_or_default().to_owned();
                let mut metadata = self.metadata.lock().expect("metadata");
                metadata.push((key.to_string(), value));
            }
        }
        let (sender, receiver) = mpsc::channel(4);
        let client = self.clone();
        tokio::spawn(async move { client.send(request.into_inner(), sender).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn tar_stream(&self, _request: Request<Streaming<Packet>>) -> Result<Response<Packets>, Status> {
        Err(Status::unimplemented("TarStream"))
    }
}

impl Client {
    fn with(files: &[(&str, &[u8])]) -> Self {
        Self {
            files: files
                .iter()
                .map(|(path, content)| ((*path).to_owned(), content.to_vec()))
                .collect(),
            ..Self::default()
        }
    }

    fn saying(script: Vec<Packet>) -> Self {
        Self {
            script: Some(script),
            ..Self::default()
        }
    }

    async fn send(self, mut requests: Streaming<Packet>, sender: mpsc::Sender<Result<Packet, Status>>) -> Option<()> {
        if let Some(script) = self.script {
            for packet in script {
                sender.send(Ok(packet)).await.ok()?;
            }
            return Some(());
        }
        for (path, content) in &self.files {
            let packet = stat(path, 0o644, content.len() as i64);
            sender.send(Ok(packet)).await.ok()?;
        }
        sender.send(Ok(end_of_list())).await.ok()?;
        while let Ok(Some(packet)) = requests.message().await {
            match packet.r#type() {
                PacketType::PacketReq => {
                    let (path, content) = self.files.iter().nth(packet.id as usize)?;
                    self.asked.lock().expect("asked").push(path.clone());
                    for piece in content.chunks(32 << 10) {
                        let data = data(packet.id, piece);
                        sender.send(Ok(data)).await.ok()?;
                    }
                    sender.send(Ok(data(packet.id, b""))).await.ok()?;
                }
                PacketType::PacketFin => {
                    let fin = of_type(PacketType::PacketFin);
                    sender.send(Ok(fin)).await.ok()?;
                    return Some(());
                }
                _ => return None,
            }
        }
        None
    }

    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("asked"))
    }
}

/// What a client got as a file, or that it takes none.
#[derive(Clone, Default)]
struct Taker {
    taken: Arc<Mutex<Vec<u8>>>,
    refuses: bool,
}

#[tonic::async_trait]
impl FileSend for Taker {
    type DiffCopyStream = Pin<Box<dyn Stream<Item = Result<BytesMessage, Status>> + Send>>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        if self.refuses {
            return Err(Status::already_exists("target already exists"));
        }
        let mut pieces = request.into_inner();
        while let Some(piece) = pieces.message().await? {
            self.taken.lock().expect("taken").extend(piece.data);
        }
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }
}

#[tonic::async_trait]
impl Upload for Taker {
    type PullStream = Pin<Box<dyn Stream<Item = Result<UploadMessage, Status>> + Send>>;

    async fn pull(&self, request: Request<Streaming<UploadMessage>>) -> Result<Response<Self::PullStream>, Status> {
        let path = request.metadata().get("urlpath").and_then(|path| path.to_str().ok());
        if path != Some("/abc") {
            return Err(Status::not_found("no such stream"));
        }
        let archive = self.taken.lock().expect("taken").clone();
        let pieces: Vec<_> = archive
            .chunks(100)
            .map(|piece| Ok(UploadMessage { data: piece.to_vec() }))
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces))))
    }
}

#[tonic::async_trait]
impl Auth for Client {
    async fn credentials(&self, request: Request<CredentialsRequest>) -> Result<Response<CredentialsResponse>, Status> {
        let (username, secret) = match request.into_inner().host.as_str() {
            "registry-1.docker.io" => ("me", "password"),
            "token.example" => ("", "refresh"),
            "error.example" => return Err(Status::internal("no key store")),
            _ => ("", ""),
        };
        Ok(Response::new(CredentialsResponse {
            username: username.to_owned(),
            secret: secret.to_owned(),
        }))
    }

    async fn fetch_token(&self, _request: Request<FetchTokenRequest>) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("FetchToken"))
    }

    async fn get_token_authority(
        &self,
        _request: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("GetTokenAuthority"))
    }

    async fn verify_token_authority(
        &self,
        _request: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("VerifyTokenAuthority"))
    }
}

fn of_type(kind: PacketType) -> Packet {
    Packet {
        r#type: kind.into(),
        ..Packet::default()
    }
}

fn data(id: u32, bytes: &[u8]) -> Packet {
    Packet {
        id,
        data: bytes.to_vec(),
        ..of_type(PacketType::PacketData)
    }
}

fn stat(path: &str, mode: u32, size: i64) -> Packet {
    Packet {
        stat: Some(Stat {
            path: path.to_owned(),
            mode,
            size,
            mod_time: 1_000,
            ..Stat::default()
        }),
        ..of_type(PacketType::PacketStat)
    }
}

fn end_of_list() -> Packet {
    of_type(PacketType::PacketStat)
}

fn headers(id: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-docker-expose-session-uuid", id),
        ("x-docker-expose-session-sharedkey", "key"),
        (
            "x-docker-expose-session-grpc-method",
            "/moby.filesync.v1.FileSync/DiffCopy",
        ),
        (
            "x-docker-expose-session-grpc-method",
            "/moby.filesync.v1.Auth/credentials",
        ),
        ("x-docker-expose-session-grpc-method", file_send::METHOD),
        ("x-docker-expose-session-grpc-method", "/moby.upload.v1.Upload/Pull"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers
}

struct Opened {
    sessions: Sessions,
    session: Session,
    client: JoinHandle<()>,
}

/// Opens a session of `client`, which serves real gRPC on the other end of a pipe.
async fn open(client: Client) -> Opened {
    open_with(client, Taker::default()).await
}

async fn open_with(client: Client, taker: Taker) -> Opened {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let services = Routes::new(FileSyncServer::new(client.clone()))
        .add_service(AuthServer::new(client))
        .add_service(UploadServer::new(taker.clone()))
        .add_service(FileSendServer::new(taker))
        .into_axum_router();
    let client = tokio::spawn(async move {
        let _ = transport::serve(theirs, services).await;
    });
    let sessions = Sessions::default();
    let announcement = Announcement::from_headers(&headers("s1")).expect("headers");
    let registry = sessions.clone();
    tokio::spawn(async move { registry.run(ours, announcement).await });
    let id = "s1".parse().expect("id");
    let session = sessions.find(&id, SOON).await.expect("session");
    Opened {
        sessions,
        session,
        client,
    }
}

fn contexts() -> (tempfile::TempDir, Contexts) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let contexts = Contexts::open(root.path()).expect("contexts");
    (root, contexts)
}

#[tokio::test]
async fn a_session_is_found_while_its_client_is_there() {
    let opened = open(Client::default()).await;
    assert!(opened.session.offers("/MOBY.filesync.v1.FileSync/diffcopy"));
    assert!(!opened.session.offers("/moby.buildkit.secrets.v1.Secrets/GetSecret"));
    assert_eq!(opened.session.shared_key(), "key");

    let (ours, _theirs) = tokio::io::duplex(64);
    let again = Announcement::from_headers(&headers("s1")).expect("headers");
    let refused = opened.sessions.run(ours, again).await;
    assert!(matches!(refused, Err(SessionError::Exists(_))));

    opened.client.abort();
    tokio::time::timeout(SOON, opened.session.closed())
        .await
        .expect("the session closes with its client");
    let id = "s1".parse().expect("id");
    let gone = opened.sessions.find(&id, Duration::ZERO).await;
    assert!(matches!(gone, Err(SessionError::NotFound(_))));
}

#[tokio::test]
async fn only_changed_files_cross_the_connection() {
    let (_root, contexts) = contexts();
    let key = ContextKey::new("key", "context");
    let large = vec![7; 300 << 10];
    let client = Client::with(&[("a", b"1"), ("b", &large), ("empty", b"")]);
    let opened = open(client.clone()).await;
    let request = SyncRequest {
        directory: "context".to_owned(),
        follow_paths: vec!["a".to_owned(), "ü".to_owned()],
        exclude_patterns: vec!["*.o".to_owned()],
        ..SyncRequest::default()
    };

    let receiving = contexts.receive(&key);
    let first = file_sync::receive(&opened.session, &request, receiving)
        .await
        .expect("first")
        .tree;
    assert_eq!(client.take_asked(), ["a", "b", "empty"]);
    assert_eq!(first.read("b", 1 << 20).expect("b"), Some(large));
    assert_eq!(first.read("empty", 1).expect("empty"), Some(Vec::new()));
    let sent = client.metadata.lock().expect("metadata").clone();
    for (key, value) in [
        ("dir-name", "context"),
        ("followpaths", "a"),
        ("followpaths", "%C3%BC"),
        ("followpaths-encoded", "1"),
        ("exclude-patterns", "*.o"),
    ] {
        let pair = (key.to_owned(), value.to_owned());
        assert!(sent.contains(&pair), "{pair:?} in {sent:?}");
    }

    let receiving = contexts.receive(&key);
    let second = file_sync::receive(&opened.session, &request, receiving)
        .await
        .expect("second")
        .tree;
    assert!(client.take_asked().is_empty());
    assert!(Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn more_files_than_are_asked_for_at_once() {
    let (_root, contexts) = contexts();
    let names: Vec<String> = (0..1_000).map(|number| format!("{number:04}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    let opened = open(Client::with(&files)).await;
    let receiving = contexts.receive_once();
    let request = SyncRequest::default();
    let received = file_sync::receive(&opened.session, &request, receiving);
    let tree = tokio::time::timeout(SOON, received)
        .await
        .expect("no deadlock")
        .expect("tree")
        .tree;
    assert_eq!(tree.entries().len(), 1_000);
    assert_eq!(tree.read("0999", 9).expect("last"), Some(b"0999".to_vec()));
}

#[tokio::test]
async fn hostile_clients_get_an_error_and_leave_nothing() {
    const DIRECTORY: u32 = 1 << 31;
    const SYMBOLIC_LINK: u32 = 1 << 27;
    let link = |path: &str, target: &str| {
        let mut packet = stat(path, SYMBOLIC_LINK | 0o777, 0);
        if let Some(stat) = &mut packet.stat {
            stat.linkname = target.to_owned();
        }
        packet
    };
    let scripts: &[(&str, Vec<Packet>)] = &[
        ("nothing", vec![]),
        ("no end", vec![stat("a", 0o644, 1)]),
        ("upwards", vec![stat("../a", 0o644, 1)]),
        ("absolute", vec![stat("/etc/passwd", 0o644, 1)]),
        ("through a link", vec![link("d", "/etc"), stat("d/passwd", 0o644, 1)]),
        ("negative", vec![stat("a", 0o644, -1)]),
        ("device", vec![stat("a", 1 << 26, 0)]),
        ("goodbye first", vec![of_type(PacketType::PacketFin)]),
        ("unasked content", vec![stat("a", 0o644, 1), data(7, b"x")]),
        (
            "content of a directory",
            vec![stat("d", DIRECTORY | 0o755, 0), data(0, b"x")],
        ),
        (
            "list after its end",
            vec![stat("a", 0o644, 1), end_of_list(), stat("b", 0o644, 1)],
        ),
        ("requests", vec![of_type(PacketType::PacketReq)]),
        (
            "unknown",
            vec![Packet {
                r#type: 77,
                ..Packet::default()
            }],
        ),
    ];
    for (name, script) in scripts {
        let (root, contexts) = contexts();
        let opened = open(Client::saying(script.clone())).await;
        let receiving = contexts.receive_once();
        let request = SyncRequest::default();
        let received = file_sync::receive(&opened.session, &request, receiving);
        let result = tokio::time::timeout(SOON, received).await.expect(name);
        assert!(result.is_err(), "{name}");
        assert!(!root.path().join("once/record.json").exists(), "{name}");
    }
}

#[tokio::test]
async fn what_the_client_cannot_read_is_told_in_its_words() {
    let (_root, contexts) = contexts();
    let error = Packet {
        data: b"open secret: permission denied".to_vec(),
        ..of_type(PacketType::PacketErr)
    };
    let opened = open(Client::saying(vec![error])).await;
    let received = file_sync::receive(&opened.session, &SyncRequest::default(), contexts.receive_once()).await;
    match received {
        Err(SyncError::Client { message, .. }) => {
            assert_eq!(message, "open secret: permission denied");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn credentials_come_from_the_client() {
    let opened = open(Client::default()).await;
    let credentials = SessionCredentials::new(opened.session);
    let basic = Credential::Basic {
        username: "me".to_owned(),
        password: "password".to_owned(),
    };
    for (domain, expect) in [
        ("docker.io", Some(basic)),
        ("token.example", Some(Credential::IdentityToken("refresh".to_owned()))),
        ("other.example", None),
        ("error.example", None),
    ] {
        let credential = credentials.for_registry(domain).await;
        assert_eq!(credential, expect, "{domain}");
    }
}

#[tokio::test]
async fn a_file_crosses_the_connection_whole() {
    let taker = Taker::default();
    let opened = open_with(Client::default(), taker.clone()).await;
    let content = vec![3; 5 << 20];
    let expect = content.clone();
    file_send::send(&opened.session, move |out| out.write_all(&content))
        .await
        .expect("sent");
    assert_eq!(*taker.taken.lock().expect("taken"), expect);

    let broken = file_send::send(&opened.session, |_out| Err("the image is gone")).await;
    assert!(matches!(broken, Err(file_send::SendError::Source("the image is gone"))));
}

#[tokio::test]
async fn a_client_that_takes_no_file_is_told_apart() {
    let taker = Taker {
        refuses: true,
        ..Taker::default()
    };
    let opened = open_with(Client::default(), taker).await;
    let content = vec![3; 20 << 20];
    let sent = file_send::send(&opened.session, move |out| out.write_all(&content)).await;
    match sent {
        Err(file_send::SendError::Call(status)) => assert_eq!(status.message(), "target already exists"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_context_may_come_as_one_stream() {
    let (_root, contexts) = contexts();
    // The tar of an empty file called `a`: one header, and two blocks of zeros.
    let mut archive = vec![0; 512 * 3];
    archive[0] = b'a';
    archive[100..107].copy_from_slice(b"0000644");
    archive[124..135].copy_from_slice(b"00000000000");
    archive[156] = b'0';
    archive[257..263].copy_from_slice(b"ustar\0");
    archive[148..156].fill(b' ');
    let checksum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
    archive[148..155].copy_from_slice(format!("{checksum:06o}\0").as_bytes());
    let taker = Taker {
        taken: Arc::new(Mutex::new(archive)),
        refuses: false,
    };
    let opened = open_with(Client::default(), taker).await;
    let tree = upload::receive_archive(&opened.session, "/abc", &contexts).await;
    assert_eq!(tree.expect("a tree").read("a", 9).expect("a"), Some(Vec::new()));
    let missing = upload::receive_archive(&opened.session, "/other", &contexts).await;
    assert!(missing.is_err());
}
