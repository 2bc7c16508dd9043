//! [`Cluster`]: the members together. One is asked; when it does not answer, the next one is.
//!
//! Questions that change nothing are asked until somebody answers. A transaction is asked once: whether to ask again when
//! nobody knows what became of it is for the caller, who knows what it meant.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::uri::PathAndQuery;
use osier_process::Tasks;
use prost::Message;
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;
use tonic_prost::ProstCodec;

use crate::error::EtcdError;
use crate::location::Location;
use crate::member::Member;
use crate::messages::{
    CompactionRequest, CompactionResponse, Condition, KeyValue, Operation, Range, RangeRequest,
    RangeResponse, TxnRequest, TxnResponse, revision, wire,
};
use crate::watcher::{Watched, Watcher};

const RANGE: &str = "/etcdserverpb.KV/Range";
const TRANSACTION: &str = "/etcdserverpb.KV/Txn";
const COMPACT: &str = "/etcdserverpb.KV/Compact";

/// One member has this long to answer. An election takes about one second; a member that lost its leader says so after seven.
const ANSWER: Duration = Duration::from_secs(3);
/// Nobody answered after this long: the cluster has no majority.
const PATIENCE: Duration = Duration::from_secs(15);
/// After all members were asked in vain.
const PAUSE: Duration = Duration::from_millis(100);

/// The members of an etcd.
pub struct Cluster {
    members: Vec<Member>,
    /// Who is asked next.
    turn: AtomicUsize,
}

impl Cluster {
    /// Reaches these members, over TLS where there is a configuration; connections live in `tasks`.
    #[must_use]
    pub fn new(location: &Location, tls: Option<&Arc<ClientConfig>>, tasks: &Tasks) -> Self {
        let members = location.members.iter();
        let members =
            members.map(|member| Member::new(member.clone(), tls.cloned(), tasks.clone()));
        Self {
            members: members.collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Keys, and whether there are more than the limit; the revision is that of the whole etcd when it answered.
    ///
    /// # Errors
    /// [`EtcdError::Compacted`] for a revision that is gone; else what the last member said.
    pub async fn range(&self, range: Range) -> Result<(Vec<KeyValue>, bool, u64), EtcdError> {
        let answer: RangeResponse = self.insist(RANGE, RangeRequest::from(range)).await?;
        let header = answer.header.unwrap_or_default();
        Ok((answer.kvs, answer.more, revision(header.revision)))
    }

    /// One key.
    ///
    /// # Errors
    /// As [`Cluster::range`].
    pub async fn get(&self, range: Range) -> Result<Option<KeyValue>, EtcdError> {
        Ok(self.range(range).await?.0.into_iter().next())
    }

    /// Makes the changes at once if all conditions hold (`Ok(Ok(revision))`); else looks at keys (`Ok(Err(found))`, in their order).
    ///
    /// # Errors
    /// [`EtcdError::Unanswered`] when the transaction may have been made; any other error says that it was not.
    pub async fn transact(
        &self,
        conditions: Vec<Condition>,
        changes: Vec<Operation>,
        look: Vec<Operation>,
    ) -> Result<Result<u64, Vec<Option<KeyValue>>>, EtcdError> {
        let request = TxnRequest {
            compare: conditions.into_iter().map(Into::into).collect(),
            success: changes.into_iter().map(Into::into).collect(),
            failure: look.into_iter().map(Into::into).collect(),
        };
        let answer: TxnResponse = self.once(TRANSACTION, request).await?;
        if answer.succeeded {
            return Ok(Ok(revision(answer.header.unwrap_or_default().revision)));
        }
        let found = answer.responses.into_iter().map(|one| {
            let kvs = one.range.unwrap_or_default().kvs;
            kvs.into_iter().next()
        });
        Ok(Err(found.collect()))
    }

    /// Forgets what was before a revision.
    ///
    /// # Errors
    /// [`EtcdError::Compacted`] when that was done already.
    pub async fn compact(&self, before: u64) -> Result<(), EtcdError> {
        let request = CompactionRequest {
            revision: wire(before),
        };
        let _done: CompactionResponse = self.insist(COMPACT, request).await?;
        Ok(())
    }

    /// Changes from a revision on.
    ///
    /// # Errors
    /// When no member takes the watch; a compacted revision is told by the watch itself.
    pub async fn watch(&self, watched: Watched) -> Result<Watcher, EtcdError> {
        let member = self.member();
        let started = match tokio::time::timeout(ANSWER, Watcher::start(member, watched)).await {
            Ok(started) => started,
            Err(_) => Err(silent(member)),
        };
        started.inspect_err(|error| self.turn_from(member, error))
    }

    /// Lets the next member be asked, after a watch of this one broke.
    pub fn turn(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    fn member(&self) -> &Member {
        let turn = self.turn.load(Ordering::Relaxed);
        // A location has at least one member.
        &self.members[turn % self.members.len()]
    }

    /// Others may have turned already: only who asked the present one turns from it.
    fn turn_from(&self, member: &Member, error: &EtcdError) {
        if error.passes() && std::ptr::eq(member, self.member()) {
            tracing::debug!(member = member.name(), %error, "another member of etcd is asked");
            self.turn();
        }
    }

    /// Asks members in turn until one answers.
    async fn insist<Q, A>(&self, path: &'static str, question: Q) -> Result<A, EtcdError>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let end = Instant::now() + PATIENCE;
        let mut asked = 0;
        loop {
            match self.once(path, question.clone()).await {
                Err(error) if error.passes() && Instant::now() < end => {
                    asked += 1;
                    if asked % self.members.len() == 0 {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Asks the present member, or the first that is reached.
    async fn once<Q, A>(&self, path: &'static str, question: Q) -> Result<A, EtcdError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut unreached = None;
        for _ in 0..self.members.len() {
            let member = self.member();
            let mut grpc = match member.grpc().await {
                Ok(grpc) => grpc,
                Err(error) => {
                    self.turn_from(member, &error);
                    unreached = Some(error);
                    continue;
                }
            };
            let codec = ProstCodec::<Q, A>::default();
            let path = PathAndQuery::from_static(path);
            let asked = grpc.unary(tonic::Request::new(question), path, codec);
            let answer = match tokio::time::timeout(ANSWER, asked).await {
                Ok(answer) => answer.map_err(|status| EtcdError::of(&status)),
                Err(_) => Err(silent(member)),
            };
            let answer = answer.inspect_err(|error| self.turn_from(member, error));
            return answer.map(tonic::Response::into_inner);
        }
        let nobody = || EtcdError::Unreached("there are no members".to_owned());
        Err(unreached.unwrap_or_else(nobody))
    }
}

fn silent(member: &Member) -> EtcdError {
    let (name, seconds) = (member.name(), ANSWER.as_secs());
    EtcdError::Unanswered(format!("{name}: no answer after {seconds} s"))
}

/// The end of the range of all keys that begin with a prefix: the first key behind them.
#[must_use]
pub fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // All keys: etcd's way to say so.
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_key_that_is_not_its_own() {
        assert_eq!(behind(b"/o/"), b"/o0");
        assert_eq!(behind(b"a\xff"), b"b");
        assert_eq!(behind(b"\xff"), b"\0");
    }
}
