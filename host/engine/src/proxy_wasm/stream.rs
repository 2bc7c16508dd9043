//! One stream in a VM: its two messages and what the guest made of them.

use super::{Edit, Headers, Properties};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use std::collections::BTreeMap;
use std::time::Instant;

/// Changes to one message's headers.
const MOST_EDITS: usize = 4_096;

/// Which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The request.
    Request,
    /// The response.
    Response,
}

/// What becomes of a message after a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    Continue,
    /// It stays where it is until the guest says otherwise, or more of it comes.
    Pause,
    /// This is sent instead.
    Reply(LocalReply),
}

/// A response that a guest gives itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Why, for logs.
    pub details: String,
}

/// A request or a response as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) headers: Option<Headers>,
    pub(super) trailers: Option<Headers>,
    /// Changes of the headers that were not taken yet.
    pub(super) edits: Vec<Edit>,
    /// Likewise of the trailers.
    pub(super) trailer_edits: Vec<Edit>,
    /// What has come of the body and was not passed on.
    pub(super) body: BytesMut,
    /// The guest may see and change `body`: only while it is called about it.
    pub(super) body_open: bool,
    /// All of the body, so far.
    pub(super) seen: u64,
    /// The guest said that the message may go on.
    pub(super) resumed: bool,
}

impl Message {
    /// Notes a change.
    pub(super) fn edited(&mut self, trailers: bool, edit: impl IntoIterator<Item = Edit>) {
        let edits = if trailers {
            &mut self.trailer_edits
        } else {
            &mut self.edits
        };
        let room = MOST_EDITS.saturating_sub(edits.len());
        edits.extend(edit.into_iter().take(room));
    }
}

/// One stream.
pub(super) struct Stream {
    pub(super) request: Message,
    pub(super) response: Message,
    pub(super) properties: Properties,
    /// What guests set themselves.
    pub(super) own: BTreeMap<String, Vec<u8>>,
    pub(super) reply: Option<LocalReply>,
    pub(super) began: Instant,
    /// The owner is gone, but the guest is not done with it.
    pub(super) over: bool,
}

impl Stream {
    pub(super) fn new(properties: Properties) -> Self {
        Self {
            request: Message::default(),
            response: Message::default(),
            properties,
            own: BTreeMap::new(),
            reply: None,
            began: Instant::now(),
            over: false,
        }
    }

    pub(super) fn message(&mut self, side: Side) -> &mut Message {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }
}
