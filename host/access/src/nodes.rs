//! Which callers are nodes, and what those may do: no more than their pods need.

mod reads;
mod writes;

pub use reads::check_node_read;
pub use writes::{NodeWrite, refused_write};

use crate::user::User;

const NODES: &str = "system:nodes";
/// The node beside the API server serves the gateways and needs every certificate of theirs. No request for a certificate gives
/// this group.
const TRUSTED: &str = "osier:control-plane";
const PREFIX: &str = "system:node:";

/// The node that a caller is, if it is one that is held to the rules of nodes.
pub fn node_of(user: &User) -> Option<&str> {
    let held = user.is_in(NODES) && !user.is_in(TRUSTED);
    user.name.strip_prefix(PREFIX).filter(|_| held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_joined_nodes_are_held_to_it() {
        let joined = User::new("system:node:b", ["system:nodes"]);
        assert_eq!(node_of(&joined), Some("b"));
        let own = User::new("system:node:a", ["system:nodes", TRUSTED]);
        assert_eq!(node_of(&own), None);
        assert_eq!(node_of(&User::new("system:node:c", ["others"])), None);
    }
}
