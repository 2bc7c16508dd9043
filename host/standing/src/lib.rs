//! What became of objects of the mesh: what of them is not in force ([`Finding`]), where gateways and routes stand with each other
//! ([`Standings`]), what nodes say together of plugins and policies ([`together`]), and the conditions that their status is made of.
//!
//! Pure values and functions. The snapshot's compiler finds out, the node agent writes; neither times nor the API's client are known here.
//! It never imports the snapshot, and knows no object beyond its kind and name.

mod conditions;
mod finding;
mod fleet;
mod gateway;
mod listener;
mod opening;
mod standings;
mod written;

pub use conditions::Condition;
pub use finding::{Finding, FindingKind, Findings};
pub use fleet::{Fleet, PolicyHere, Told, Word, rollout, together};
pub use gateway::GatewayConditions;
pub use opening::{ListenerKey, Opening, Refused};
pub use standings::{
    AddressWish, Attachment, GatewayStanding, ListenerStanding, ParentStanding, PolicyFault,
    PolicyStanding, RouteStanding, Standings, Subject,
};
pub use written::{covers, whole, without_calls};

#[cfg(test)]
mod tests;
