//! Where the rooms meet that must not know each other: each file joins one trait of a lower room to a room above it.

pub(crate) mod admission;
pub(crate) mod agents;
pub(crate) mod certify;
pub(crate) mod extender;
pub(crate) mod images;
pub(crate) mod issuers;
pub(crate) mod judged;
pub(crate) mod questions;
pub(crate) mod reviews;
pub(crate) mod signer;
mod targets;
pub(crate) mod transport;
pub(crate) mod webhooks;
