//! etcd's messages by the tags that are used here, from `api/etcdserverpb/rpc.proto` and `api/mvccpb/kv.proto`
//! (<https://github.com/etcd-io/etcd>), and the plain values in which they are asked for.

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

/// One key as it stood at a revision.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// The key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The revision at which the key came into being.
    #[prost(int64, tag = "2")]
    pub create_revision: i64,
    /// The revision of its last change.
    #[prost(int64, tag = "3")]
    pub mod_revision: i64,
    /// Its bytes.
    #[prost(bytes = "bytes", tag = "5")]
    pub value: Bytes,
}

impl KeyValue {
    /// The revision at which the key came into being.
    #[must_use]
    pub fn created(&self) -> u64 {
        revision(self.create_revision)
    }

    /// The revision of its last change.
    #[must_use]
    pub fn modified(&self) -> u64 {
        revision(self.mod_revision)
    }
}

/// A question for keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The key, or the first.
    pub key: Vec<u8>,
    /// The key after the last; empty for the one key.
    pub end: Vec<u8>,
    /// As of this revision; 0 for the newest that a majority knows.
    pub revision: u64,
    /// The most keys of the answer; 0 for all.
    pub limit: u32,
}

impl Range {
    /// One key as it stands.
    #[must_use]
    pub fn of(key: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into(),
            ..Self::default()
        }
    }
}

/// What a transaction demands of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is not there.
    Absent(Vec<u8>),
    /// It is there.
    Present(Vec<u8>),
    /// Its last change was at this revision.
    Modified(Vec<u8>, u64),
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sets a key.
    Put(Vec<u8>, Bytes),
    /// Removes a key.
    Delete(Vec<u8>),
    /// Looks at a key.
    Get(Vec<u8>),
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The key as it is now; without a value where it is deleted.
    pub now: KeyValue,
    /// It was deleted.
    pub deleted: bool,
    /// The key as it was before, where that was asked for.
    pub before: Option<KeyValue>,
}

/// Revisions are never negative on the wire.
pub(crate) fn revision(wire: i64) -> u64 {
    u64::try_from(wire).unwrap_or_default()
}

pub(crate) fn wire(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResponseHeader {
    #[prost(int64, tag = "3")]
    pub(crate) revision: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) range_end: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub(crate) limit: i64,
    #[prost(int64, tag = "4")]
    pub(crate) revision: i64,
}

impl From<Range> for RangeRequest {
    fn from(range: Range) -> Self {
        Self {
            key: range.key,
            range_end: range.end,
            limit: range.limit.into(),
            revision: wire(range.revision),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RangeResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) kvs: Vec<KeyValue>,
    #[prost(bool, tag = "3")]
    pub(crate) more: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeleteRangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RequestOp {
    #[prost(oneof = "Request", tags = "1, 2, 3")]
    pub(crate) request: Option<Request>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Request {
    #[prost(message, tag = "1")]
    Range(RangeRequest),
    #[prost(message, tag = "2")]
    Put(PutRequest),
    #[prost(message, tag = "3")]
    DeleteRange(DeleteRangeRequest),
}

impl From<Operation> for RequestOp {
    fn from(operation: Operation) -> Self {
        let request = match operation {
            Operation::Put(key, value) => Request::Put(PutRequest { key, value }),
            Operation::Delete(key) => Request::DeleteRange(DeleteRangeRequest { key }),
            Operation::Get(key) => Request::Range(Range::of(key).into()),
        };
        Self {
            request: Some(request),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResponseOp {
    /// Answers to puts and deletions say nothing that is used.
    #[prost(message, optional, tag = "1")]
    pub(crate) range: Option<RangeResponse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum Comparison {
    Equal = 0,
    Greater = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum CompareTarget {
    Version = 0,
    Create = 1,
    Mod = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Compare {
    #[prost(enumeration = "Comparison", tag = "1")]
    pub(crate) result: i32,
    #[prost(enumeration = "CompareTarget", tag = "2")]
    pub(crate) target: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) key: Vec<u8>,
    #[prost(oneof = "CompareWith", tags = "5, 6")]
    pub(crate) with: Option<CompareWith>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum CompareWith {
    #[prost(int64, tag = "5")]
    CreateRevision(i64),
    #[prost(int64, tag = "6")]
    ModRevision(i64),
}

impl From<Condition> for Compare {
    fn from(condition: Condition) -> Self {
        let (result, target, key, with) = match condition {
            Condition::Absent(key) => (
                Comparison::Equal,
                CompareTarget::Create,
                key,
                CompareWith::CreateRevision(0),
            ),
            Condition::Present(key) => (
                Comparison::Greater,
                CompareTarget::Create,
                key,
                CompareWith::CreateRevision(0),
            ),
            Condition::Modified(key, revision) => (
                Comparison::Equal,
                CompareTarget::Mod,
                key,
                CompareWith::ModRevision(wire(revision)),
            ),
        };
        Self {
            result: result.into(),
            target: target.into(),
            key,
            with: Some(with),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) success: Vec<RequestOp>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) failure: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TxnResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<ResponseHeader>,
    #[prost(bool, tag = "2")]
    pub(crate) succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    pub(crate) responses: Vec<ResponseOp>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct CompactionRequest {
    #[prost(int64, tag = "1")]
    pub(crate) revision: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct CompactionResponse {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WatchRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) create: Option<WatchCreateRequest>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WatchCreateRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) range_end: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub(crate) start_revision: i64,
    #[prost(bool, tag = "6")]
    pub(crate) prev_kv: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WatchResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<ResponseHeader>,
    #[prost(bool, tag = "3")]
    pub(crate) created: bool,
    #[prost(bool, tag = "4")]
    pub(crate) canceled: bool,
    #[prost(int64, tag = "5")]
    pub(crate) compact_revision: i64,
    #[prost(string, tag = "6")]
    pub(crate) cancel_reason: String,
    #[prost(message, repeated, tag = "11")]
    pub(crate) events: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum EventType {
    Put = 0,
    Delete = 1,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Event {
    #[prost(enumeration = "EventType", tag = "1")]
    pub(crate) kind: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) kv: Option<KeyValue>,
    #[prost(message, optional, tag = "3")]
    pub(crate) prev_kv: Option<KeyValue>,
}

impl From<Event> for Change {
    fn from(event: Event) -> Self {
        Self {
            deleted: event.kind() == EventType::Delete,
            now: event.kv.unwrap_or_default(),
            before: event.prev_kv,
        }
    }
}
