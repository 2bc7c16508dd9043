//! What a call can end with, by what its caller can do about it.

use tonic::{Code, Status};

/// Why etcd did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EtcdError {
    /// No member was reached: the question was not asked.
    #[error("no member of etcd is reached: {0}")]
    Unreached(String),
    /// A member broke off or could not decide: what was asked may have been done or not.
    #[error("etcd did not answer: {0}")]
    Unanswered(String),
    /// The revision is compacted; the number is the oldest that is left, 0 where etcd does not say.
    #[error("the revision is compacted, the oldest left is {0}")]
    Compacted(u64),
    /// The request is larger than etcd takes.
    #[error("etcd takes no request that large (--max-request-bytes)")]
    TooLarge,
    /// The database reached its quota.
    #[error("etcd's database is full (--quota-backend-bytes)")]
    Full,
    /// etcd refuses the request as it is.
    #[error("etcd refuses: {0}")]
    Refused(String),
}

impl EtcdError {
    /// Sorts what gRPC says. What is not known to be a refusal may have been done.
    pub(crate) fn of(status: &Status) -> Self {
        let words = status.message();
        match status.code() {
            Code::OutOfRange if words.contains("compacted") => Self::Compacted(0),
            Code::InvalidArgument if words.contains("too large") => Self::TooLarge,
            Code::ResourceExhausted if words.contains("larger than max") => Self::TooLarge,
            Code::ResourceExhausted if words.contains("space exceeded") => Self::Full,
            Code::InvalidArgument
            | Code::OutOfRange
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented => Self::Refused(words.to_owned()),
            code => Self::Unanswered(format!("{code:?}: {words}")),
        }
    }

    /// Whether the same question may fare better with another member, or later.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unreached(_) | Self::Unanswered(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_refusal_may_have_been_done() {
        let of = |code, words: &str| EtcdError::of(&Status::new(code, words));
        let compacted = "etcdserver: mvcc: required revision has been compacted";
        assert_eq!(of(Code::OutOfRange, compacted), EtcdError::Compacted(0));
        let large = "etcdserver: request is too large";
        assert_eq!(of(Code::InvalidArgument, large), EtcdError::TooLarge);
        let larger = "grpc: received message larger than max (4194304 vs. 2097152)";
        assert_eq!(of(Code::ResourceExhausted, larger), EtcdError::TooLarge);
        let full = "etcdserver: mvcc: database space exceeded";
        assert_eq!(of(Code::ResourceExhausted, full), EtcdError::Full);
        assert!(!of(Code::PermissionDenied, "no").passes());
        let maybe = [Code::Unavailable, Code::Unknown, Code::Internal];
        let many = [Code::ResourceExhausted, Code::Cancelled, Code::Aborted];
        for code in maybe.into_iter().chain(many) {
            assert!(of(code, "etcdserver: request timed out").passes(), "{code}");
        }
    }
}
