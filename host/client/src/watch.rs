//! A watch as a stream of events: one JSON value a line, until the server ends it.

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use osier_api::{Object, Status};
use osier_process::body::Body;
use serde::Deserialize;
use serde_json::Value;

use crate::error::ClientError;

/// No line may be longer: the largest object is 3 MiB, its escapes may double it.
const MAX_LINE: usize = 8 << 20;

/// One change that the server tells of.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// The object is new, or entered the selection.
    Added(Object),
    /// The object changed.
    Modified(Object),
    /// The object is gone, or left the selection; this is its last state.
    Deleted(Object),
    /// Nothing changed up to this revision.
    Bookmark(u64),
}

/// A watch under way.
pub struct Watch {
    body: Body,
    buffer: BytesMut,
    /// Bytes of `buffer` known to hold no line end.
    searched: usize,
    what: String,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl Watch {
    pub(crate) fn new(body: Body, what: String) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
            what,
        }
    }

    /// The next event; `None` when the server ended the watch. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, ClientError>> {
        loop {
            if let Some(line) = self.line() {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Some(self.event(&line));
            }
            if self.buffer.len() > MAX_LINE {
                return Some(Err(
                    self.malformed(format!("a line of more than {MAX_LINE} bytes"))
                ));
            }
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Err(error) => return Some(Err(self.malformed(error.to_string()))),
            }
        }
    }

    fn line(&mut self) -> Option<Bytes> {
        let found = self
            .buffer
            .get(self.searched..)?
            .iter()
            .position(|byte| *byte == b'\n');
        let Some(at) = found else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + at).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        Some(line)
    }

    fn event(&self, line: &[u8]) -> Result<WatchEvent, ClientError> {
        let line: Line =
            serde_json::from_slice(line).map_err(|error| self.malformed(error.to_string()))?;
        if line.kind == "ERROR" {
            let status: Status = serde_json::from_value(line.object)
                .map_err(|error| self.malformed(error.to_string()))?;
            return Err(ClientError::Status(Box::new(status)));
        }
        let object =
            Object::from_value(line.object).map_err(|error| self.malformed(error.to_string()))?;
        match line.kind.as_str() {
            "ADDED" => Ok(WatchEvent::Added(object)),
            "MODIFIED" => Ok(WatchEvent::Modified(object)),
            "DELETED" => Ok(WatchEvent::Deleted(object)),
            "BOOKMARK" => Ok(WatchEvent::Bookmark(object.resource_version())),
            other => Err(self.malformed(format!("an event of type {other:?}"))),
        }
    }

    fn malformed(&self, reason: String) -> ClientError {
        ClientError::Malformed {
            request: self.what.clone(),
            reason,
        }
    }
}
