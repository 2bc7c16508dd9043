//! PersistentVolumeClaims: which volume a claim gets and when, where a pod with claims can run, what becomes of a volume whose claim
//! is gone, and what keeps either from being taken away.
//!
//! The rules are Kubernetes' (<https://kubernetes.io/docs/concepts/storage/persistent-volumes/>), decided over values: [`claim`] and
//! [`volume`] say what is to be written next, [`reach`] and [`reserve`] serve the scheduler. Who writes is the controller's (crate
//! control), and who keeps the directories is the node's. It imports nothing that touches a socket, a file, a clock or a lock.

mod binding;
mod fit;
mod known;
mod place;
mod provision;
mod reclaim;
mod set;
mod step;
#[cfg(test)]
mod tests;
mod used;
mod view;

pub use binding::claim;
pub use place::{Reserved, reach, reserve};
pub use reclaim::volume;
pub use set::{mount, owners, wanted};
pub use step::{Change, Plan, Told, Write};
pub use used::{claims, is_used};
pub use view::View;
