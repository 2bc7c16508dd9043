//! Who set which field: every write signs what it changes.

use osier_api::Object;
use osier_api::managed::{self, Author};
use osier_process::clock;
use serde_json::Value;

use super::Write;

impl Write<'_> {
    /// Everything that the record of fields needs to know about this write.
    pub(crate) fn authored<T>(&self, with: impl FnOnce(Author<'_>) -> T) -> T {
        with(Author {
            manager: &self.manager,
            subresource: &self.address.subresource,
            api_version: &self.address.api_version(),
            now: &clock::seconds(clock::now()),
        })
    }

    /// The `metadata.managedFields` of the complete object `new`, which this write makes out of `old`; `submitted` is
    /// what stood there in the body.
    ///
    /// Fields that admission or a strategy sets afterwards belong to nobody, as upstream has it.
    pub(super) fn signed(
        &self,
        old: Option<&Object>,
        mut new: Object,
        submitted: Option<Value>,
    ) -> Option<Value> {
        if self.applied {
            return submitted;
        }
        let form = self.address.form();
        self.authored(|author| {
            managed::track(form, old, &mut new, submitted.as_ref(), author);
        });
        new.remove(&["metadata", "managedFields"])
    }
}

/// Puts the list into an object, or takes it out.
pub(super) fn put(object: &mut Object, managed: Option<Value>) {
    match managed {
        Some(list) => object.set(&["metadata", "managedFields"], list),
        None => managed::forget(object),
    }
}
