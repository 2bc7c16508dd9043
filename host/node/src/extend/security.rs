//! Istio's objects of security on this node: RequestAuthentications and AuthorizationPolicies, which need no plugin.
//!
//! Admission refuses those with faults. One that is there all the same lets nothing pass that it might have refused.

use std::sync::Arc;

use osier_api::resources::{AUTHORIZATION_POLICIES, REQUEST_AUTHENTICATIONS};
use osier_api::{Object, Resource};
use osier_authentication::Authentications;
use osier_authorization::{Authorizations, Fault};
use osier_client::Informer;
use tokio::sync::watch;

use crate::gate::PolicyGate;

/// The objects, as they are known here.
pub(super) struct Security {
    authentications: Arc<Informer>,
    authorizations: Arc<Informer>,
    changed: [watch::Receiver<u64>; 2],
}

impl Security {
    pub(super) fn new(mirror: impl Fn(&'static Resource) -> Arc<Informer>) -> Self {
        let authentications = mirror(&REQUEST_AUTHENTICATIONS);
        let authorizations = mirror(&AUTHORIZATION_POLICIES);
        Self {
            changed: [authentications.changed(), authorizations.changed()],
            authentications,
            authorizations,
        }
    }

    pub(super) async fn synced(&self) {
        self.authentications.synced().await;
        self.authorizations.synced().await;
    }

    /// Waits for a change of either.
    pub(super) async fn changed(&mut self) {
        let [one, other] = &mut self.changed;
        // An informer ends with the process, as we do.
        tokio::select! {
            _ = one.changed() => {}
            _ = other.changed() => {}
        }
    }

    /// Reads them anew for the gate.
    pub(super) fn publish(&mut self, gate: &PolicyGate, root: &str) {
        for changed in &mut self.changed {
            changed.borrow_and_update();
        }
        let tokens = read(&self.authentications, osier_authentication::read);
        let policies = read(&self.authorizations, osier_authorization::read);
        gate.secure(
            Authentications::new(tokens, root),
            Authorizations::new(policies, root),
        );
    }
}

fn read<T>(informer: &Informer, read: fn(&Object) -> (T, Vec<Fault>)) -> Vec<T> {
    let kind = informer.resource().kind;
    let objects = informer.list();
    let all = objects.iter().map(|object| {
        let (policy, faults) = read(object);
        for Fault { field, detail } in faults {
            let (namespace, name) = (object.namespace(), object.name());
            tracing::warn!(
                kind,
                namespace,
                name,
                field,
                detail,
                "it cannot be read whole"
            );
        }
        policy
    });
    all.collect()
}
