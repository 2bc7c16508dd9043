//! `osier:extension`.

use super::HeaderOperation;
use wasmtime::component::{ComponentType, Lift, Lower};

/// A request that needs a choice.
#[derive(Clone, Copy, Debug, Default, ComponentType, Lower)]
#[component(record)]
pub struct Request<'a> {
    /// Request id.
    pub id: &'a str,
    /// Verified identity of the caller, or empty.
    pub source: &'a str,
    /// Method.
    pub method: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// Path with query.
    pub path: &'a str,
}

/// One destination of a route.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub struct Candidate<'a> {
    /// Host of the service.
    pub host: &'a str,
    /// Subset, or empty.
    pub subset: &'a str,
    /// Port, or 0.
    pub port: u16,
    /// Weight.
    pub weight: u32,
}

/// The choice of a destination.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Choice {
    /// Place in the list.
    pub candidate: u32,
    /// Changes to the response.
    #[component(name = "response-headers")]
    pub response_headers: Vec<HeaderOperation>,
}

/// One ready endpoint.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub struct Endpoint<'a> {
    /// Pod.
    pub pod: &'a str,
    /// Node.
    pub node: &'a str,
    /// Requests that it is working on.
    #[component(name = "in-flight")]
    pub in_flight: u32,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum Operation {
    /// It is new.
    #[component(name = "create")]
    Create,
    /// It changes.
    #[component(name = "update")]
    Update,
    /// It goes.
    #[component(name = "delete")]
    Delete,
}

/// One write of an object.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub struct Review<'a> {
    /// Group of the kind.
    pub group: &'a str,
    /// Kind.
    pub kind: &'a str,
    /// Namespace, or empty.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    pub user: &'a str,
    /// The groups of that user.
    pub groups: &'a [String],
    /// The object, JSON.
    pub object: &'a str,
    /// The object as it is, JSON.
    #[component(name = "old-object")]
    pub old_object: Option<&'a str>,
}

/// A refusal to admit.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Denial {
    /// Why.
    pub reason: String,
    /// Path of the wrong field, or empty.
    pub field: String,
}

/// The answer to a review.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum Verdict {
    /// The write may go on.
    #[component(name = "allow")]
    Allow,
    /// It may, with warnings.
    #[component(name = "warn")]
    Warn(Vec<String>),
    /// It may not.
    #[component(name = "deny")]
    Deny(Denial),
    /// It may, with the object changed by this JSON patch.
    #[component(name = "patch")]
    Patch(String),
}

/// A node that fits a pod.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub struct Node<'a> {
    /// Name.
    pub name: &'a str,
    /// Labels.
    pub labels: Vec<(&'a str, &'a str)>,
    /// Free thousandths of a core.
    #[component(name = "free-cpu")]
    pub free_cpu: i64,
    /// Free bytes.
    #[component(name = "free-memory")]
    pub free_memory: i64,
    /// Pods there.
    pub pods: u32,
    /// Pods there of the same controller.
    pub siblings: u32,
}

/// A pod that needs a node.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub struct Pod<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// Labels.
    pub labels: Vec<(&'a str, &'a str)>,
    /// The pod, JSON.
    pub object: &'a str,
}

/// What a plugin thinks of one node.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum Opinion {
    /// The pod must not run there, and why.
    #[component(name = "infeasible")]
    Infeasible(String),
    /// It may: 0 to 100.
    #[component(name = "score")]
    Score(u32),
}
