//! Admission that people write: policies in CEL, and webhooks.
//!
//! A [`Policy`] is compiled from a ValidatingAdmissionPolicy and judges a write ([`Attributes`]) where a [`Binding`] makes it hold; a
//! [`Webhook`] says what is asked of a program outside and what its answer means. Where such a program is ([`WebhookTarget`]) is said in the
//! same way by definitions of kinds whose versions a program converts. All of it are functions of their arguments: who
//! reads objects, asks and refuses is the API server. It imports nothing that touches a socket, a file, a clock or a lock.

mod attributes;
mod binding;
mod checking;
mod defaults;
mod matching;
mod policy;
mod target;
mod types;
mod validation;
mod verdict;
mod webhook;

pub use attributes::{Attributes, Operation};
pub use binding::{Action, Binding, ParamRef};
pub use checking::{Subject, warnings};
pub use defaults::complete;
pub use matching::Matcher;
pub use policy::{ParamKind, Policy, faults};
pub use target::{WebhookPlace, WebhookTarget, client_config};
pub use types::of as type_of;
pub use verdict::{Denial, Facts, Verdict};
pub use webhook::{Answer, Refusal, Webhook};
