//! Events as `events.k8s.io` has them: the objects of the core kind in another shape.

use super::{BASE, EVENTS};
use crate::resource::Resource;

/// Events in the shape of `events.k8s.io`.
pub static NAMED_EVENTS: Resource = Resource {
    group: "events.k8s.io",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    schema: "io.k8s.api.events.v1.Event",
    ..BASE
};

pub(super) static TABLE: &[&Resource] = &[&NAMED_EVENTS];

/// The kind as which objects of this one are stored: itself, but for a kind that is another's in a second shape.
pub fn stored_as(resource: &'static Resource) -> &'static Resource {
    if std::ptr::eq(resource, &NAMED_EVENTS) {
        return &EVENTS;
    }
    resource
}
