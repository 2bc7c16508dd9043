//! placeholder

#[allow(dead_code, unused_imports, reason = "the API is being built on it")]
mod store;

pub use store::{Limits as StoreLimits, StoreError, StoreKind, UnknownStore};
