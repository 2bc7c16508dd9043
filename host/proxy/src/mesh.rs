//! Between nodes: a call to a pod elsewhere goes over HTTP/2 with mutual TLS to that pod's node, as the caller.
//!
//! Both sides use the one door: the caller's node decides outbound and chooses the endpoint, the pod's node decides inbound.
//! Who calls is what the certificate says; the rest of what is known of the caller is looked up, never taken over.

mod belonging;
mod identities;
mod peers;
mod wire;

pub(crate) use belonging::Belonging;
pub(crate) use identities::lifetime;
pub use identities::{Certified, Certify};

pub(crate) use peers::Mesh;
pub use peers::server_name;
pub(crate) use wire::{
    Identity, Said, UNSTARTED, Wanted, carries_datagrams, identity, said, strip, wanted,
};

/// The identity of the gateways of a trust domain.
pub(crate) fn gateway(domain: &str) -> String {
    format!("spiffe://{domain}/ns/osier-system/sa/gateway")
}
