//! Images from and to registries: the client side of the OCI distribution specification
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>) for WebAssembly.
//!
//! It knows references, credentials, manifests and layers, and speaks HTTP/1.1 over TLS of `identity`. It keeps nothing on disk,
//! decides no pull policy, and never imports the engine: what it gives are bytes whose digest was checked.
//! `oci-client` is not used: it brings reqwest and a second set of TLS configurations for the five requests that are needed.

mod challenge;
mod credentials;
mod error;
mod exchange;
mod fetch;
mod manifest;
mod reference;
mod registries;
mod session;
mod signature;
mod unpack;
mod upload;

pub use credentials::{BadCredentials, Credentials};
pub use error::{Fault, PullError};
pub use manifest::{Artifact, Layer, LayerKind, Manifest, describe};
pub use osier_identity::VerifyingKey;
pub use reference::{BadReference, Reference};
pub use registries::{Pull, Registries, Settings};
pub use signature::RequiredKey;
pub use unpack::in_layer;

/// Bytes of the largest component that is pulled or pushed.
pub const LARGEST: u64 = 256 << 20;
/// Told how many bytes of how many have passed.
pub type Progress = std::sync::Arc<dyn Fn(u64, u64) + Send + Sync>;

/// `sha256:` and 64 hexadecimal digits.
fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in sha2::Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}
