//! Whose an object is: a controller owns what names it as its controller, takes up what it selects
//! and nobody owns, and lets go what it no longer selects. Pure.

use std::sync::Arc;

use osier_api::Object;
use osier_api::selector::LabelSelector;
use serde_json::{Value, json};

/// A controller as its dependents see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Owner {
    /// Its uid.
    pub uid: String,
    /// What it selects.
    pub selector: LabelSelector,
    /// It is being deleted: it takes up nothing and lets nothing go.
    pub leaving: bool,
}

/// What a controller has, and what changes about that.
#[derive(Debug, Default)]
pub struct Claim {
    /// What it owns and selects, and what it is about to own.
    pub mine: Vec<Arc<Object>>,
    /// Selected and without a controller: to be taken up.
    pub adopt: Vec<Arc<Object>>,
    /// Owned and no longer selected: to be let go.
    pub release: Vec<Arc<Object>>,
}

impl Owner {
    /// Of a controller of pods.
    #[must_use]
    pub fn of(controller: &Object) -> Self {
        Self {
            uid: controller.uid().to_owned(),
            selector: LabelSelector::of_controller(controller).unwrap_or_default(),
            leaving: controller.deletion_timestamp().is_some(),
        }
    }

    /// An empty selector selects nothing.
    #[must_use]
    pub fn selects(&self, object: &Object) -> bool {
        !self.selector.is_empty() && self.selector.selects(object)
    }

    /// Whether it is the object's controller.
    #[must_use]
    pub fn owns(&self, object: &Object) -> bool {
        object
            .controller_of()
            .is_some_and(|owner| owner.uid == self.uid)
    }

    /// Sorts the objects of the controller's namespace; what is on its way out is not taken up.
    #[must_use]
    pub fn claim<'a>(&self, objects: impl IntoIterator<Item = &'a Arc<Object>>) -> Claim {
        let mut claim = Claim::default();
        for object in objects {
            match (self.owns(object), self.selects(object)) {
                (true, true) => claim.mine.push(Arc::clone(object)),
                (true, false) if !self.leaving => claim.release.push(Arc::clone(object)),
                (false, true) if !self.leaving && is_free(object) => {
                    claim.adopt.push(Arc::clone(object));
                    claim.mine.push(Arc::clone(object));
                }
                _ => {}
            }
        }
        claim
    }
}

fn is_free(object: &Object) -> bool {
    object.controller_of().is_none() && object.deletion_timestamp().is_none()
}

/// The reference by which `controller` owns something.
#[must_use]
pub fn reference(controller: &Object) -> Value {
    json!({
        "apiVersion": controller.api_version(), "kind": controller.kind(),
        "name": controller.name(), "uid": controller.uid(),
        "controller": true, "blockOwnerDeletion": true,
    })
}
