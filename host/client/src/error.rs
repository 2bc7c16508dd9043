//! What can go wrong between a caller and the API, and what the caller can do about it.

use osier_api::Status;

/// The request did not get an answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection could be made.
    #[error("cannot reach the API at {server}: {reason}; is `osier up` running there?")]
    Connect {
        /// `host:port`.
        server: String,
        /// What the system said.
        reason: String,
    },
    /// The server did not answer in time.
    #[error("the API at {server} did not answer within {seconds} s")]
    Timeout {
        /// `host:port`.
        server: String,
        /// The limit.
        seconds: u64,
    },
    /// The connection broke after the request was sent.
    #[error("the connection to the API at {server} broke: {reason}")]
    Broken {
        /// `host:port`.
        server: String,
        /// What the connection said.
        reason: String,
    },
    /// The process is going down.
    #[error("the API is stopping")]
    Stopping,
}

/// A call to the API failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server answered with a Status of failure.
    #[error("{}", .0.message)]
    Status(Box<Status>),
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The answer is not what the API promises.
    #[error("the API's answer to {request} is malformed: {reason}")]
    Malformed {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ClientError {
    /// The HTTP code of a Status, if the server answered with one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.code),
            Self::Transport(_) | Self::Malformed { .. } => None,
        }
    }

    /// The object is not there (any more).
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// An object of this name is there already.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Status(status) if status.reason == "AlreadyExists")
    }

    /// Somebody else changed or created the object first.
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// The revision is no longer in the server's log: list again.
    pub fn is_gone(&self) -> bool {
        self.code() == Some(410)
    }
}
