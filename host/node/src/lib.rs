//! The node agent: runs the pods that are bound to this node, feeds the proxy, and joins policy to
//! it.
//!
//! It is the place where the rooms of the data plane meet (engine, proxy, policy, snapshot) and
//! holds no rule of theirs. It knows the cluster only through the API: it never imports the API
//! server or the controllers.

mod addresses;
mod agent;
mod api;
mod attach;
mod beside;
mod callout;
mod components;
mod error;
mod exec;
mod extend;
mod gate;
mod held;
mod live;
mod mesh;
mod node;
mod outgoing;
mod plane;
mod pod;
mod port_forward;
mod reclaim;
mod register;
mod remote;
mod served;
mod sessions;
mod settings;
mod statuses;
mod tokens;
mod usage;

pub use error::NodeError;
pub use extend::PLUGIN_GRACE;
pub use gate::{Policies, decisions};
pub use node::{Node, Parts};
pub use plane::Plane;
pub use settings::{Capacity, Settings};
