//! What became of gateways and routes at each other: what the status of the Gateway API's objects is made of.

use std::sync::Arc;

use osier_routing::kind::Kind;
use serde_json::Value;

use crate::opening::{ListenerKey, Refused};

/// What became of the objects whose status tells it part by part.
#[derive(Debug, Default)]
pub struct Standings {
    /// Gateways.
    pub gateways: Vec<GatewayStanding>,
    /// Routes.
    pub routes: Vec<RouteStanding>,
    /// Policies about Services.
    pub policies: Vec<PolicyStanding>,
    /// Ingresses that are served.
    pub ingresses: Vec<Subject>,
}

/// Which object, and which edition of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The object's kind.
    pub resource: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its generation.
    pub generation: i64,
}

/// What became of a Gateway.
#[derive(Debug)]
pub struct GatewayStanding {
    /// Which one.
    pub subject: Subject,
    /// Its listeners, in order.
    pub listeners: Vec<ListenerStanding>,
    /// The addresses that it asks for.
    pub addresses: Vec<AddressWish>,
    /// Clients' certificates that cannot be verified are taken for none, on one of its ports or all.
    pub insecure: bool,
}

/// An address that a Gateway asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressWish {
    /// `IPAddress`, `Hostname`, or another kind.
    pub kind: String,
    /// Which one; `None` is any.
    pub value: Option<String>,
}

/// What became of a listener of a Gateway.
#[derive(Debug)]
pub struct ListenerStanding {
    /// Its name.
    pub name: String,
    /// Where it stands, e.g. `spec.listeners[0]`.
    pub field: String,
    /// The kinds of routes that it takes.
    pub kinds: Vec<Kind>,
    /// The socket that it was given; findings say why it was given none.
    pub key: Option<ListenerKey>,
    /// Why it is not opened, if it is the object's own fault.
    pub refused: Option<Refused>,
    /// How many routes are attached.
    pub attached: u32,
    /// Another listener of the object has TLS on the same port for hosts of this one.
    pub overlapping: bool,
    /// Where it is said how its clients prove themselves, e.g. `spec.tls.frontend.default`.
    pub clients: Option<String>,
}

/// What became of a route.
#[derive(Debug)]
pub struct RouteStanding {
    /// Which one.
    pub subject: Subject,
    /// At each of its parents, in order.
    pub parents: Vec<ParentStanding>,
}

/// What became of a route at one parent.
#[derive(Clone, Debug)]
pub struct ParentStanding {
    /// The parent, as the route writes it.
    pub reference: Arc<Value>,
    /// What became of it.
    pub attachment: Attachment,
}

/// What became of a policy about Services.
#[derive(Debug)]
pub struct PolicyStanding {
    /// Which one.
    pub subject: Subject,
    /// Where it has an effect, as references.
    pub ancestors: Vec<Value>,
    /// Why it is not in force.
    pub fault: Option<PolicyFault>,
    /// Its Services have pods behind them, which are called in memory.
    pub in_memory: bool,
}

/// Why a policy is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyFault {
    /// None of its Services is there, or none has the port that is named.
    TargetNotFound,
    /// An older one speaks of the same Services.
    Conflicted,
    /// None of its certificates can be used: no server is believed.
    NoCertificate,
}

/// Whether a route is attached to a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// It is.
    Accepted,
    /// There is no such parent, or no such part of it.
    NoMatchingParent,
    /// The parent does not take routes of this kind or namespace.
    NotAllowed,
    /// The parent has none of the route's hosts.
    NoMatchingHostname,
}
