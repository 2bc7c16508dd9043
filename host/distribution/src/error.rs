//! Why an image could not be had from a registry, or brought to it; each message says what to do.

/// A failure about one image.
#[derive(Debug, thiserror::Error)]
#[error("{image}: {fault}")]
pub struct PullError {
    /// The reference.
    pub image: String,
    /// What went wrong.
    pub fault: Fault,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nobody answers as a registry.
    #[error("the registry {registry} cannot be reached: {reason}")]
    Unreachable {
        /// The host.
        registry: String,
        /// What was seen.
        reason: String,
    },
    /// TLS failed.
    #[error(
        "the registry {registry} does not speak TLS that this machine trusts: {reason}; add its authority to the machine's \
         certificates (or name a file in SSL_CERT_FILE), or allow plain HTTP with `--insecure-registry {registry}`"
    )]
    Tls {
        /// The host.
        registry: String,
        /// What was seen.
        reason: String,
    },
    /// The registry wants to know who asks.
    #[error(
        "the registry refuses {with}: {code}; give the pod an imagePullSecret (`kubectl create secret docker-registry`), or on the \
         command line log in with `docker login`, which writes ~/.docker/config.json"
    )]
    Unauthorized {
        /// How we asked.
        with: &'static str,
        /// Its answer.
        code: u16,
    },
    /// There is no such image.
    #[error("the registry has no such image: {reason}")]
    NotFound {
        /// Its words.
        reason: String,
    },
    /// Another answer than was asked for.
    #[error("the registry answered {what} with {code}{reason}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// The status.
        code: u16,
        /// Its words, after `: `.
        reason: String,
    },
    /// The connection broke.
    #[error("the transfer broke off: {0}")]
    Broken(String),
    /// It took too long.
    #[error("no answer for {seconds} s")]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
    /// More bytes than are taken.
    #[error("{what} is larger than {limit} bytes, which is the most that is taken")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// Bytes that are not those of their digest.
    #[error(
        "{what} has the digest {found}, and not {wanted} as was asked for: it was changed on the way"
    )]
    Digest {
        /// Which part.
        what: &'static str,
        /// What was asked for.
        wanted: String,
        /// What came.
        found: String,
    },
    /// A manifest that holds no component.
    #[error("it is not an image of a Wasm component: {0}")]
    NotWasm(String),
    /// Nobody whom the node trusts signed it.
    #[error(
        "it has no signature of the key that {prefix} must be signed with: {reason}; sign it with `cosign sign --key`"
    )]
    Unsigned {
        /// Which images must be signed with this key.
        prefix: String,
        /// What was looked at.
        reason: String,
    },
}
