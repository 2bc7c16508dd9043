//! SPDY/3.1 as a server (the protocol's draft 3.1): frames, the dictionary of headers, and the streams of a session.
//!
//! Windows are neither counted nor told: kubectl's implementation knows none. A stream that is not read holds up its connection
//! once its buffer is full, as it does in Kubernetes.

mod frame;
mod headers;
mod session;

pub use headers::Headers;
pub(crate) use session::serve;
pub use session::{SessionError, Stream};

#[cfg(test)]
mod tests;
