//! A body of JSON values, one a line, as progress and event streams are.

use std::marker::PhantomData;

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::Error;

/// A line longer than this is no progress message (bytes).
const LONGEST_LINE: usize = 16 << 20;

/// A body of JSON values, one a line.
pub(crate) struct Lines<T> {
    request: String,
    body: Incoming,
    buffer: BytesMut,
    /// How much of the buffer was searched for a line's end.
    searched: usize,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Lines<T> {
    pub(super) fn new(request: String, body: Incoming) -> Self {
        Self {
            request,
            body,
            buffer: BytesMut::new(),
            searched: 0,
            value: PhantomData,
        }
    }

    /// The next value; none at the end of the body.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let line = match unsearched.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let line = self.buffer.split_to(self.searched + end + 1);
                    self.searched = 0;
                    line
                }
                None => {
                    self.searched = self.buffer.len();
                    match self.body.frame().await {
                        Some(Ok(frame)) => {
                            if let Ok(data) = frame.into_data() {
                                self.buffer.extend_from_slice(&data);
                            }
                            if self.buffer.len() > LONGEST_LINE {
                                return Err(Error::Broken("a line of the answer is too long".into()));
                            }
                            continue;
                        }
                        Some(Err(error)) => return Err(Error::Broken(error.into())),
                        None if self.buffer.is_empty() => return Ok(None),
                        None => {
                            self.searched = 0;
                            self.buffer.split()
                        }
                    }
                }
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            return serde_json::from_slice(&line)
                .map(Some)
                .map_err(|source| Error::Malformed {
                    request: self.request.clone(),
                    source,
                });
        }
    }
}
