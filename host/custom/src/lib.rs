//! Kinds that users define: CustomResourceDefinitions, and what they make of objects.
//!
//! A definition is completed ([`complete`]), held to the rules of structural schemas ([`validate`]), told what became of its
//! names ([`settle`]), and compiled ([`Definition`]) to what one version of its kind does with an object: prune, default, check,
//! scale, print. All of it are functions of their arguments: who stores and serves is the API server. It imports nothing that
//! touches a socket, a file, a clock or a lock.

mod complete;
mod conversion;
mod definition;
mod names;
mod path;
mod scale;
mod schema;
mod table;
mod validation;

pub use complete::{FINALIZER, complete, keep_stored_version, terminate};
pub use conversion::{Conversion, converted};
pub use definition::{Definition, Version};
pub use names::{Settled, settle};
pub use validation::{validate, warnings};

use osier_api::Resource;
use osier_api::resources;

/// The kind of ours that has the names of a definition's: it goes on being served in place of the definition.
pub fn built_in(group: &str, plural: &str) -> Option<&'static Resource> {
    let mut all = resources::all().iter().copied();
    all.find(|resource| resource.group == group && resource.plural == plural)
}
