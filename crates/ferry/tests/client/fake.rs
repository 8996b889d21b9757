//! An engine of a few lines: HTTP/1.1 on a unix socket, one thread a connection, answers from the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `POST /v1.51/containers/create?name=x`.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Whether method and path, without version and query, are these.
    pub(crate) fn is(&self, method_and_path: &str) -> bool {
        let line = self.line.split('?').next().unwrap_or_default();
        match line.split_once(" /v1.51") {
            Some((method, path)) => method_and_path == format!("{method} {path}"),
            None => line == method_and_path,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// What is sent back.
pub(crate) enum Answer {
    /// Status and JSON.
    Json(u16, &'static str),
    /// These bytes as they are, and then nothing: the connection is closed.
    Raw(&'static [u8]),
    /// The stream of an attach: these bytes, and its end.
    Stream(&'static [u8]),
    /// The stream of an attach that gives back on stdout what it got, once the client has said all.
    Echo,
}

/// A fake engine, until it is dropped.
pub(crate) struct Engine {
    folder: TempDir,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Engine {
    /// Answers by `answer`; `/_ping` is answered anyway.
    pub(crate) fn new(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("sock")).expect("a socket");
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let engine = Self {
            folder,
            seen: seen.clone(),
        };
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (answer, seen) = (answer.clone(), seen.clone());
                std::thread::spawn(move || serve(stream, &*answer, &seen));
            }
        });
        engine
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}/sock", self.folder.path().display())
    }

    /// The requests that came, without pings, each as method and path.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no panic").clone()
    }
}

fn serve(stream: UnixStream, answer: &dyn Fn(&Request) -> Answer, seen: &Mutex<Vec<Request>>) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let request = read(&mut reader)?;
        if request.line.contains("/_ping") {
            let ping = "HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nContent-Length: 2\r\n\r\nOK";
            out.write_all(ping.as_bytes()).ok()?;
            continue;
        }
        let answer = answer(&request);
        seen.lock().ok()?.push(request);
        match answer {
            Answer::Json(status, json) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    json.len()
                );
                out.write_all(head.as_bytes()).ok()?;
                out.write_all(json.as_bytes()).ok()?;
            }
            Answer::Raw(bytes) => {
                out.write_all(bytes).ok()?;
                return out.shutdown(std::net::Shutdown::Both).ok();
            }
            Answer::Stream(bytes) => {
                out.write_all(UPGRADED).ok()?;
                out.write_all(bytes).ok()?;
                return out.shutdown(std::net::Shutdown::Both).ok();
            }
            Answer::Echo => {
                out.write_all(UPGRADED).ok()?;
                let mut sent = Vec::new();
                reader.read_to_end(&mut sent).ok()?;
                out.write_all(&[1, 0, 0, 0]).ok()?;
                out.write_all(&u32::try_from(sent.len()).ok()?.to_be_bytes()).ok()?;
                return out.write_all(&sent).ok();
            }
        }
    }
}

const UPGRADED: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut text = String::new();
    if reader.read_line(&mut text).ok()? == 0 {
        return None;
    }
    let line = text.trim_end().strip_suffix(" HTTP/1.1")?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut text = String::new();
        reader.read_line(&mut text).ok()?;
        match text.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => break,
        }
    }
    let mut request = Request {
        line,
        headers,
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .and_then(|length| length.parse::<usize>().ok());
    request.body.resize(length.unwrap_or(0), 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
