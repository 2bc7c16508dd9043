//! AuthorizationPolicies that cannot be read whole are refused when they are applied; the others say from the start that they are enforced.

use osier_api::{Fault, FaultKind, Object, Status, resources};
use osier_apiserver::{Admit, Admitted, Review};
use osier_process::{Boxed, clock};
use serde_json::json;

/// What of tokens the rules may ask, which nothing checks natively.
const TOKENS: [&str; 2] = ["equestPrincipals\"", "\"request.auth."];

/// Reads what is applied as the nodes will.
pub(crate) struct AuthorizationAdmission;

impl Admit for AuthorizationAdmission {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        let concerned = *review.resource == resources::AUTHORIZATION_POLICIES;
        let written = review
            .new
            .filter(|_| concerned && review.subresource.is_none());
        Box::pin(std::future::ready(
            written.map_or_else(|| Ok(Admitted::default()), admitted),
        ))
    }
}

fn admitted(object: &Object) -> Result<Admitted, Status> {
    let (_, faults) = osier_authorization::read(object);
    if !faults.is_empty() {
        let faults: Vec<Fault> = faults
            .into_iter()
            .map(|fault| Fault::new(FaultKind::Invalid, fault.field, fault.detail))
            .collect();
        let resource = &resources::AUTHORIZATION_POLICIES;
        return Err(Status::invalid(resource, object.name(), &faults));
    }
    Ok(Admitted {
        object: stated(object),
        warnings: unknown(object).into_iter().collect(),
    })
}

/// The object with the condition that it is enforced, if it does not say so.
fn stated(object: &Object) -> Option<Object> {
    let conditions = object.get(&["status", "conditions"]);
    let says = conditions.is_some_and(|all| all[0]["status"] == "True");
    if says {
        return None;
    }
    let mut stated = object.clone();
    stated.set(
        &["status"],
        json!({"conditions": [{
            "type": "Reconciled", "status": "True", "reason": "Enforced",
            "message": "every node asks it where its workloads are called, and at gateways",
            "lastTransitionTime": clock::seconds(clock::now()),
        }]}),
    );
    Some(stated)
}

fn unknown(object: &Object) -> Option<String> {
    let text = object.get(&["spec"])?.to_string();
    let asks = TOKENS.iter().any(|word| text.contains(word));
    asks.then(|| {
        "requestPrincipals and request.auth are known of no call in this version: rules that ask for them match none, and those that exclude them all; a Policy with the plugin jwt checks tokens".to_owned()
    })
}
