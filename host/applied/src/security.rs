//! Istio's objects of security that cannot be read whole are refused when they are applied; the others say from the start that they are
//! enforced.

use osier_api::{Fault, FaultKind, Object, Resource, Status, resources};
use osier_apiserver::{Admit, Admitted, Review};
use osier_process::{Boxed, clock};
use serde_json::{Value, json};

use crate::faults::shown;

/// Reads what is applied as the nodes will.
#[derive(Debug)]
pub struct SecurityAdmission;

impl Admit for SecurityAdmission {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        let written = review.new.filter(|_| review.subresource.is_none());
        let judged = written.map_or_else(
            || Ok(Admitted::default()),
            |object| admitted(review.resource, object),
        );
        Box::pin(std::future::ready(judged))
    }
}

fn admitted(resource: &Resource, object: &Object) -> Result<Admitted, Status> {
    let (faults, enforced) = if *resource == resources::AUTHORIZATION_POLICIES {
        let words = "every node asks it where its workloads are called, and at gateways";
        (osier_authorization::read(object).1, words)
    } else if *resource == resources::REQUEST_AUTHENTICATIONS {
        let words =
            "every node verifies tokens by it where its workloads are called, and at gateways";
        (osier_authentication::read(object).1, words)
    } else {
        return Ok(Admitted::default());
    };
    if !faults.is_empty() {
        let invalid = |fault: osier_authorization::Fault| {
            Fault::new(FaultKind::Invalid, fault.field, fault.detail)
        };
        let faults = shown(faults.into_iter().map(invalid).collect(), object);
        return Err(Status::invalid(resource, object.name(), &faults));
    }
    Ok(Admitted {
        object: stated(object, enforced),
        warnings: Vec::new(),
    })
}

/// The object with the condition that it is enforced, if it does not say so.
fn stated(object: &Object, enforced: &str) -> Option<Object> {
    let conditions = object.get(&["status", "conditions"]);
    let mut conditions = conditions.and_then(Value::as_array).cloned();
    let says = |one: &Value| one["type"] == "Reconciled" && one["status"] == "True";
    if conditions.iter().flatten().any(says) {
        return None;
    }
    let conditions = conditions.get_or_insert_default();
    conditions.retain(|one| one["type"] != "Reconciled");
    let own = json!({
        "type": "Reconciled", "status": "True", "reason": "Enforced", "message": enforced,
        "lastTransitionTime": clock::seconds(clock::now()),
    });
    conditions.insert(0, own);
    let mut stated = object.clone();
    stated.set(&["status", "conditions"], json!(conditions));
    Some(stated)
}
