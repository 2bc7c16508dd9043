//! Requests for certificates: what was asked, and by whom, never changes.

use osier_api::Object;

use super::Strategy;

pub(super) struct Requests;

impl Strategy for Requests {
    fn prepare_update(&self, old: &Object, new: &mut Object) {
        if let Some(spec) = old.get(&["spec"]) {
            new.set(&["spec"], spec.clone());
        }
    }

    fn generations(&self) -> bool {
        false
    }
}
