//! Where the rooms meet that must not know each other: each file joins one trait of a lower room to a room above it.

pub(crate) mod admission;
pub(crate) mod certify;
pub(crate) mod decisions;
pub(crate) mod images;
pub(crate) mod pod_logs;
pub(crate) mod reviews;
pub(crate) mod signer;
pub(crate) mod transport;
