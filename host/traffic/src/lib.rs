//! What objects say about connections: to a service, by a DestinationRule's traffic policy; from clients, by the TLS of gateways.
//!
//! Objects are read by [`Fields`], such that nothing that they say is passed over in silence. What is read are values of
//! `osier-balancing`, and [`Tls`]. It knows no routes, no services and no listeners; whose policy counts for what is for the reader.

mod fields;
mod load_balancer;
mod policy;
pub mod secret;
mod served;
mod server;
mod shown;
mod tls;
mod upstream;

pub use fields::{Fields, duration};
pub use policy::{Resolved, TrafficPolicy, read, resolve};
pub use secret::{Secrets, TlsSecret};
pub use served::resolve as served;
pub use server::server_tls;
pub use shown::shown;
pub use tls::{Credential, KeyPair, Named, Taken, Tls, TlsMode, TlsSpec, TlsVersion};
pub use upstream::UpstreamPolicy;
