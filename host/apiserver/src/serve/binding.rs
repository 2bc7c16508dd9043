//! Bindings: a scheduler puts a pod on a node, by `pods/NAME/binding` or by `bindings`, which are the same.

use http::Response;
use osier_answers::respond;
use osier_api::{Fault, Object, Status, resources};
use osier_process::body::Body;
use osier_process::clock;
use osier_scheduling::binding::{bound, faults};
use serde_json::Value;

use super::Exchange;
use crate::registry::{Change, Part};
use crate::target::Address;

impl Exchange<'_> {
    /// Puts the pod on the node that the body names.
    pub(super) async fn bind(mut self) -> Result<Response<Body>, Status> {
        let mut write = self.write()?;
        let body = self.plain_body().await?;
        let pod = pod(self.address, &body)?;
        write.address = &pod;
        let now = clock::seconds(clock::now());
        let refused = |why: String| Status::conflict_because(pod.resource, &pod.name, &why);
        let make = |old: &Object, _: &mut Vec<String>| bound(old, &body, &now).map_err(refused);
        let change = Change {
            part: Part::Binding,
            make: &make,
        };
        self.server.registry.update(&mut write, change).await?;
        let status = Status {
            code: 201,
            ..Status::default()
        };
        let mut response = respond::json(201, &status.to_object());
        respond::warn(&mut response, &write.warnings);
        Ok(response)
    }
}

/// Which pod a binding is about: that of the path, or the one that the body names.
fn pod(asked: &Address, body: &Value) -> Result<Address, Status> {
    let said = |field: &str| body["metadata"][field].as_str().unwrap_or_default();
    let (name, namespace) = (said("name"), said("namespace"));
    let mut faults = faults(body);
    if name.is_empty() && asked.name.is_empty() {
        faults.push(Fault::required("metadata.name", "the pod that is bound"));
    }
    if !faults.is_empty() {
        return Err(Status::invalid(&resources::BINDINGS, name, &faults));
    }
    if !namespace.is_empty() && namespace != asked.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !asked.name.is_empty() && !name.is_empty() && name != asked.name {
        return Err(Status::bad_request(
            "name in URL does not match name in Binding object",
        ));
    }
    let named = match asked.name.as_str() {
        "" => name,
        name => name,
    };
    Ok(Address {
        namespace: asked.namespace.clone(),
        name: named.to_owned(),
        subresource: "binding".to_owned(),
        ..Address::of(&resources::PODS)
    })
}
