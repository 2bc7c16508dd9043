//! Who calls and what they may do: users, tokens of service accounts, the rules of all roles and bindings.
//!
//! The decisions are [`rbac`]; here is where the rules come from, which are there from the start, that nobody
//! hands on more than they have, and whom a caller may be. It knows no store, no listener and no path: the API server
//! tells it which objects there are and asks it for every request.

mod authenticate;
mod bootstrap;
mod bootstrap_token;
pub mod certificates;
mod grants;
mod nodes;
pub mod rbac;
mod refusal;
mod rules;
mod user;

pub use authenticate::{ISSUER, Tokens, Wanted, bindable, by_token, impersonated};
pub use bootstrap::{bindings, missing_rules, roles};
pub use bootstrap_token::{TOKEN_NAMESPACE, TOKEN_PREFIX, TOKEN_TYPE};
pub use certificates::Requested;
pub use grants::check_grant;
pub use nodes::{NodeWrite, check_node_read, node_of, refused_write};
pub use refusal::refusal;
pub use rules::Rules;
pub use user::User;

use osier_api::{Object, Resource};

/// How the objects of the cluster are read: by kind, namespace (empty for kinds without one) and name.
pub type Find<'a> = &'a dyn Fn(&'static Resource, &str, &str) -> Option<Object>;
