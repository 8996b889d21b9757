//! Listening to an engine's events, as a client of its API does.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Engine;
use crate::patience::eventually;

/// What an engine has told since this began to listen.
#[derive(Debug)]
pub struct Events {
    seen: Arc<Mutex<Vec<serde_json::Value>>>,
    connection: UnixStream,
}

impl Events {
    /// Listens from now on.
    #[track_caller]
    pub fn of(engine: &Engine) -> Self {
        let socket = engine.exec_root().join("ferry.sock");
        let mut connection = UnixStream::connect(socket).expect("the engine listens");
        connection
            .write_all(b"GET /events HTTP/1.1\r\nHost: engine\r\n\r\n")
            .expect("a request");
        let mut lines = BufReader::new(connection.try_clone().expect("a second descriptor"));
        let mut head = String::new();
        while lines.read_line(&mut head).expect("an answer") > 2 {}
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        std::thread::spawn(move || {
            // Lines between the events are the lengths of chunks.
            for line in lines.lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str::<serde_json::Value>(&line)
                    && event.is_object()
                {
                    sink.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                }
            }
        });
        Self { seen, connection }
    }

    /// The actions of containers so far, in order.
    pub fn actions(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let actions = seen.iter().filter(|event| event["Type"] == "container");
        actions
            .filter_map(|event| event["Action"].as_str().map(str::to_owned))
            .collect()
    }

    /// Waits until a container's action was told.
    #[track_caller]
    pub fn until(&self, action: &str) {
        eventually(&format!("the event {action:?}"), || {
            self.actions().iter().any(|told| told == action).then_some(())
        });
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.connection.shutdown(std::net::Shutdown::Both);
    }
}
