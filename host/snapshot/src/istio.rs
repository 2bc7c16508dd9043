//! Istio's traffic kinds as a front end of the route model. Names of their fields stand here and nowhere else.

mod actions;
mod cors;
pub(crate) mod delegate;
mod delegate_match;
pub(crate) mod destination_rule;
mod destinations;
pub(crate) mod gateway;
mod headers;
mod matches;
pub(crate) mod peer_authentication;
mod retries;
pub(crate) mod service_entry;
pub(crate) mod sidecar;
mod streams;
pub(crate) mod virtual_service;
pub(crate) mod workload_group;

use osier_api::Object;

use osier_routing::export::Export;
use osier_traffic::Fields;

/// The group of Istio's traffic kinds.
const GROUP: &str = "networking.istio.io";

/// What the parts of one object need to know about it.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) domain: &'a str,
    pub(crate) delegates: &'a delegate::Delegates,
}

/// `exportTo` of an object in namespace `own`.
fn export(spec: &mut Fields<'_>, own: &str) -> Export {
    let words = spec.texts("exportTo");
    Export::read(words.iter().map(|(_, word)| *word), own)
}

/// An object's creation time as the API writes it, which sorts by age.
fn created(object: &Object) -> &str {
    let time = object.get(&["metadata", "creationTimestamp"]);
    time.and_then(|time| time.as_str()).unwrap_or_default()
}
