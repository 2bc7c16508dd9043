//! A watch: changes as a member tells them, in the order of revisions.

use futures::StreamExt;
use http::uri::PathAndQuery;
use tonic::Streaming;
use tonic::metadata::MetadataValue;
use tonic_prost::ProstCodec;

use crate::error::EtcdError;
use crate::member::Member;
use crate::messages::{Change, WatchCreateRequest, WatchRequest, WatchResponse, revision, wire};

const WATCH: &str = "/etcdserverpb.Watch/Watch";
/// Makes a member that lost the majority end the watch rather than stay silent.
const NEEDS_LEADER: &str = "hasleader";

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The first key.
    pub key: Vec<u8>,
    /// The key after the last; empty for the one key.
    pub end: Vec<u8>,
    /// The first revision that is told.
    pub from: u64,
    /// Whether each change comes with the state before it.
    pub previous: bool,
}

/// Changes that were told together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The revision of etcd when it told them.
    pub revision: u64,
    /// The changes; none in what only says that the watch began.
    pub changes: Vec<Change>,
}

/// A running watch; it ends when it is dropped.
pub struct Watcher {
    answers: Streaming<WatchResponse>,
}

impl Watcher {
    /// Asks a member for a watch.
    pub(crate) async fn start(member: &Member, watched: Watched) -> Result<Self, EtcdError> {
        let mut grpc = member.grpc().await?;
        let create = WatchCreateRequest {
            key: watched.key,
            range_end: watched.end,
            start_revision: wire(watched.from),
            prev_kv: watched.previous,
        };
        let question = WatchRequest {
            create: Some(create),
        };
        // The stream of questions stays open: its end would end the watch.
        let questions = futures::stream::iter([question]).chain(futures::stream::pending());
        let mut request = tonic::Request::new(questions);
        let yes = MetadataValue::from_static("true");
        request.metadata_mut().insert(NEEDS_LEADER, yes);
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let path = PathAndQuery::from_static(WATCH);
        let answers = grpc.streaming(request, path, codec).await;
        let answers = answers.map_err(|status| EtcdError::of(&status))?;
        Ok(Self {
            answers: answers.into_inner(),
        })
    }

    /// The next changes. After an error there are no more.
    ///
    /// # Errors
    /// [`EtcdError::Compacted`] when the past was compacted before it was told, else what ended the watch.
    pub async fn next(&mut self) -> Result<Batch, EtcdError> {
        let answer = self.answers.message().await;
        let answer = answer.map_err(|status| EtcdError::of(&status))?;
        let ended = || EtcdError::Unanswered("the member ended the watch".to_owned());
        let answer = answer.ok_or_else(ended)?;
        if answer.compact_revision > 0 {
            return Err(EtcdError::Compacted(revision(answer.compact_revision)));
        }
        if answer.canceled {
            return Err(EtcdError::Unanswered(answer.cancel_reason));
        }
        let header = answer.header.unwrap_or_default();
        tracing::trace!(created = answer.created, "told by etcd");
        Ok(Batch {
            revision: revision(header.revision),
            changes: answer.events.into_iter().map(Change::from).collect(),
        })
    }
}
