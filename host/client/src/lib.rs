//! How every part of Osier speaks to its API: requests as values, one `Client` over any
//! `Transport`, informers that mirror a collection, a work queue, the loop
//! that works it off, and an event recorder.
//!
//! It is not a controller framework: what to do with a change is decided by the crates above.
//! It never imports the API server (an in-process transport is made in the binary), the engine
//! or the snapshot.

mod backoff;
mod certificates;
mod client;
mod direct;
mod discovery;
mod election;
mod error;
mod events;
pub mod expectations;
mod https;
mod informer;
mod kubeconfig;
mod queue;
pub mod reconcile;
mod request;
mod transport;
mod warnings;
mod watch;
mod webhook;

pub use backoff::{Backoff, CONTROLLER, RECONNECT};
pub use certificates::{CertificateError, CertificateRequest, obtain_certificate};
pub use client::{Client, Heard, List};
pub use direct::Direct;
pub use election::{Candidacy, lead};
pub use error::{ClientError, TransportError};
pub use events::{EventType, Recorder, Reference};
pub use https::Https;
pub use informer::{Change, Grouping, Index, Informer, Scope};
pub use kubeconfig::{Kubeconfig, KubeconfigError};
pub use queue::{Taken, WorkQueue};
pub use request::{DeleteOptions, Part, Propagation, Query};
pub use transport::Transport;
pub use watch::{Watch, WatchEvent};
pub use webhook::{Question, Questions};
