//! Where pods go: what a pod asks of nodes and of its neighbours, which node fits it best, why none does, whom it may push out, and
//! when a taint drives it away, what becomes of it when it is bound, how important it is, and which block of addresses a node has for its pods.
//!
//! All of it is decided over values that the [`Ledger`] keeps by increments; who asks, and what becomes of the answer, is the
//! scheduler's (crate control). It imports nothing that touches a socket, a file, a clock or a lock.

mod ask;
pub mod binding;
pub mod blocks;
mod demand;
mod kinds;
mod ledger;
pub mod marks;
mod neighbours;
pub mod node_affinity;
mod opinion;
mod preemption;
pub mod priority;
mod reach;
mod refusal;
mod room;
mod score;
pub mod taints;
mod terms;
#[cfg(test)]
mod tests;
mod topology;
mod world;

pub use demand::Demand;
pub use ledger::Ledger;
pub use opinion::{Candidate, Extender, Opinion, Opinions};
pub use preemption::{Budget, Evicted, Refused};
pub use reach::Reach;
pub use refusal::Refusal;
pub use terms::{is_gated, looks_at_neighbours};
