//! Why a try gave no response, whoever was called: a pod in memory or a host over the network.

use std::borrow::Cow;

use crate::pods::PodError;

/// Words that may be shown to the caller.
pub type Reason = Cow<'static, str>;

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no connection to whom was called; the request was not started.
    #[error("{0}")]
    Unreachable(Reason),
    /// Too much is under way already; the request was not started.
    #[error("{0}")]
    Overloaded(Reason),
    /// The exchange ended before there was a response.
    #[error("{0}")]
    Reset(Reason),
    /// What came is no HTTP.
    #[error("{0}")]
    Protocol(Reason),
    /// There was no response in time.
    #[error("{0}")]
    Timeout(Reason),
}

impl Failure {
    /// Whether the request may have had an effect.
    #[must_use]
    pub fn was_started(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Overloaded(_))
    }
}

impl From<PodError> for Failure {
    fn from(error: PodError) -> Self {
        let reason = error.to_string().into();
        match error {
            PodError::NotHere | PodError::Unreachable { .. } => Self::Unreachable(reason),
            PodError::Overloaded => Self::Overloaded(reason),
            PodError::Failed { .. } => Self::Reset(reason),
            PodError::Timeout => Self::Timeout(reason),
        }
    }
}
