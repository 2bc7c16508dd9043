//! Roles and bindings: what is stored is what is asked.

use std::sync::Arc;

use osier_access::Rules;
use osier_api::Object;

use super::Strategy;

/// Keeps the rules as the store has them, before a write is answered.
pub(super) struct Access(pub(super) Arc<Rules>);

impl Strategy for Access {
    fn created(&self, object: &Object) {
        self.0.put(object);
    }

    fn replaced(&self, _: &Object, new: &Object) {
        self.0.put(new);
    }

    fn removed(&self, object: &Object) {
        self.0.remove(object);
    }

    fn generations(&self) -> bool {
        false
    }
}
