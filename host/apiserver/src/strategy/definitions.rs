//! Definitions of kinds: they remember in which versions objects are stored, and stay until the last object is gone.

use osier_api::Object;

use super::Strategy;

pub(super) struct Definitions;

impl Strategy for Definitions {
    fn prepare_create(&self, object: &mut Object) {
        osier_custom::keep_stored_version(object);
    }

    fn prepare_update(&self, _: &Object, new: &mut Object) {
        osier_custom::keep_stored_version(new);
    }

    fn marked(&self, object: &mut Object) {
        osier_custom::terminate(object);
    }
}
