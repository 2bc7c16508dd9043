//! What several servers must decide one after the other: which address a service gets, and whether a quota still has room.
//! Each decides by what its cache holds; guards of the store see to it that this was the newest.

use osier_api::{Object, Resource, Status, resources};
use osier_store::Guard;
use tokio::sync::MutexGuard;

use super::{Registry, quota};
use crate::objects;

/// The guards of one write, which this process holds alone.
#[derive(Default)]
pub(super) struct Guards<'a> {
    pub(super) all: Vec<Guard>,
    _alone: Option<MutexGuard<'a, ()>>,
}

impl Registry {
    /// The guards that a write needs; none where no other server has the store.
    pub(super) async fn guards(
        &self,
        resource: &Resource,
        old: Option<&Object>,
        new: &Object,
    ) -> Result<Guards<'_>, Status> {
        let mut names = Vec::new();
        if !self.store.is_shared() {
            return Ok(Guards::default());
        }
        if *resource == resources::SERVICES {
            names.push("serviceips".to_owned());
        }
        if quota::may_charge(resource, old) && self.has_quotas(new.namespace()) {
            names.push(format!("quotas/{}", new.namespace()));
        }
        if names.is_empty() {
            return Ok(Guards::default());
        }
        let alone = self.guarded.lock().await;
        let mut all = Vec::new();
        for name in names {
            let guard = self.store.guard(&name).await;
            all.extend(guard.map_err(|error| objects::unavailable(&error))?);
        }
        Ok(Guards {
            all,
            _alone: Some(alone),
        })
    }
}
