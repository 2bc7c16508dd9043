//! `kubectl get componentstatuses`: the parts of the control plane, as each can be judged from here.

use http::Response;
use osier_api::resources::{COMPONENT_STATUSES, LEASES};
use osier_api::{Object, Status};
use osier_process::body::Body;
use osier_process::clock;
use serde_json::json;

use super::Exchange;
use crate::admit::Read;
use crate::registry::Registry;
use osier_answers::ListMeta;
use osier_answers::respond;

/// The lease of the controllers and the scheduler, where several control planes have one store.
const LEASE: (&str, &str) = ("kube-system", "osier-controllers");
const DEPRECATED: &str = "v1 ComponentStatus is deprecated in v1.19+";

impl Exchange<'_> {
    pub(super) fn components(self) -> Result<Response<Body>, Status> {
        let found = components(&self.server.registry);
        let name = &self.address.name;
        let mut response = if name.is_empty() {
            self.written(found, &ListMeta::default())?
        } else {
            let mut found = found.into_iter();
            let one = found.find(|component| component.name() == name);
            let one = one.ok_or_else(|| Status::not_found(&COMPONENT_STATUSES, name))?;
            self.show(200, one, &[])?
        };
        respond::warn(&mut response, &[DEPRECATED.to_owned()]);
        Ok(response)
    }
}

fn components(registry: &Registry) -> Vec<Object> {
    let store = registry.store.health().map_err(|error| error.to_string());
    let control = match &store {
        Err(_) => Err("it can write nothing, see the store".to_owned()),
        // They are parts of this process, and end with it.
        Ok(()) if !registry.store.is_shared() => Ok(()),
        Ok(()) => led(registry),
    };
    let parts = [
        ("controller-manager", control.clone()),
        ("etcd-0", store),
        ("scheduler", control),
    ];
    parts.map(|(name, health)| component(name, health)).into()
}

/// Whether some control plane leads.
fn led(registry: &Registry) -> Result<(), String> {
    let lease = Read::get(registry, &LEASES, LEASE.0, LEASE.1);
    let lease = lease.ok_or("no control plane leads yet")?;
    let renewed: Option<jiff::Timestamp> = lease.text(&["spec", "renewTime"]).parse().ok();
    let seconds = lease
        .get(&["spec", "leaseDurationSeconds"])
        .and_then(serde_json::Value::as_i64);
    let (renewed, seconds) = renewed.zip(seconds).ok_or("its lease cannot be read")?;
    let silent = clock::now().duration_since(renewed).as_secs();
    match silent <= seconds {
        true => Ok(()),
        false => Err(format!(
            "no control plane leads: {} did not renew its lease for {silent} s",
            lease.text(&["spec", "holderIdentity"])
        )),
    }
}

fn component(name: &str, health: Result<(), String>) -> Object {
    let mut component = Object::new(&COMPONENT_STATUSES, "", name);
    let condition = match health {
        Ok(()) => json!({"type": "Healthy", "status": "True", "message": "ok"}),
        Err(error) => json!({"type": "Healthy", "status": "False", "error": error}),
    };
    component.set(&["conditions"], json!([condition]));
    component
}
