//! Kinds that are kept and not acted on: their status says so from the start, for those who do not see the warning.

use osier_api::{Object, resources};
use osier_process::clock;
use serde_json::json;

use super::Strategy;

/// Sets the condition `Reconciled` to false.
pub(super) struct Kept;

impl Strategy for Kept {
    fn prepare_create(&self, object: &mut Object) {
        let group = object
            .api_version()
            .rsplit_once('/')
            .map_or("", |(group, _)| group);
        let resource = resources::by_kind(group, object.kind());
        let why = resource.and_then(osier_warnings::unenforced);
        object.set(
            &["status"],
            json!({"conditions": [{
                "type": "Reconciled", "status": "False", "reason": "NotEnforced", "message": why,
                "lastTransitionTime": clock::seconds(clock::now()),
            }]}),
        );
    }
}
