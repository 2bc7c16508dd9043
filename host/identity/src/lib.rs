//! Who is who: the certificate authority of a cluster, the identities it issues, and the only TLS configurations.
//!
//! It signs and verifies; it never fetches, listens or speaks HTTP, and it knows nothing of pods or plugins beyond the
//! SPIFFE id that a certificate carries (<https://spiffe.io/docs/latest/spiffe-about/spiffe-concepts/>).

mod authority;
mod clients;
mod configuration;
mod envelope;
mod key_set;
mod origin;
mod pin;
mod request;
mod shown;
mod subject;
mod termination;
#[cfg(test)]
mod tests;
mod tokens;
mod verify;
mod web_token;

pub use authority::{Authority, Credential};
pub use clients::{Clients, Proof};
pub use configuration::{client_config, mutual_config, server_config, without_http2};
pub use envelope::{EnvelopeError, KeyError, KeyRing, sealed_with};
pub use key_set::KeySet;
pub use origin::{Believe, Origin, origin_config, system_config};
pub use pin::{Found, pin, pinned_config};
pub use request::{Request, request, requested};
pub use shown::forwarded_client_cert;
pub use subject::{Subject, subject, validity};
pub use termination::{Certificate, Hello, Manner, Versions, hello, termination, unknown_ciphers};
pub use tokens::TokenKey;
pub use verify::VerifyingKey;
pub use web_token::{TokenFault, WebToken};

use std::path::PathBuf;

/// Why an identity could not be read, made or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file of the authority cannot be read or written.
    #[error("{}: {reason}; {remedy}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
        /// What a person can do.
        remedy: &'static str,
    },
    /// The authority is half there, or its files do not belong together.
    #[error("{}: {reason}; restore both files of the authority from a backup, or remove both to make a new one (every issued certificate then ends)", path.display())]
    Authority {
        /// The file that is wrong.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key that was handed in is not usable.
    #[error("{what}: {reason}")]
    Material {
        /// Which material.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl IdentityError {
    pub(crate) fn material(what: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Material {
            what,
            reason: error.to_string(),
        }
    }
}
