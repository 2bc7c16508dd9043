//! Roles and bindings give nobody more than their author has, and requests for certificates are approved by those who may.

use std::sync::Arc;

use osier_access::certificates::{KUBELET, MESH};
use osier_access::rbac::Action;
use osier_access::{Rules, check_grant};
use osier_api::{Object, Status, resources};
use osier_process::Boxed;
use serde_json::Value;

use super::{Admit, Admitted, Operation, Review};

/// The admission step that holds roles and bindings to it.
pub(crate) struct Grants(pub(crate) Arc<Rules>);

impl Admit for Grants {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        let new = review.new.filter(|_| review.operation != Operation::Delete);
        let result = new.map_or(Ok(()), |new| {
            self.check_approval(review, new)?;
            check_grant(&self.0, review.user, review.resource, (review.old, new))
        });
        Box::pin(async move { result.map(|()| Admitted::default()) })
    }
}

impl Grants {
    /// Who approves a request must be allowed to for its signer; our own controllers judge those of nodes.
    fn check_approval(&self, review: &Review<'_>, new: &Object) -> Result<(), Status> {
        let signer = new.text(&["spec", "signerName"]);
        let before = review.old.is_some_and(is_approved);
        let asked = *review.resource == resources::CERTIFICATE_SIGNING_REQUESTS;
        if !asked || before || !is_approved(new) || [KUBELET, MESH].contains(&signer) {
            return Ok(());
        }
        let domain = signer.split('/').next().unwrap_or_default();
        let may = |name: &str| {
            let action = Action::Resource {
                verb: "approve",
                group: review.resource.group,
                resource: "signers",
                subresource: "",
                namespace: "",
                name,
            };
            self.0.allow(review.user, &action)
        };
        if may(signer) || may(&format!("{domain}/*")) {
            return Ok(());
        }
        let words = format!("user not permitted to approve requests with signerName {signer:?}");
        Err(Status::forbidden(review.resource, new.name(), &words))
    }
}

fn is_approved(request: &Object) -> bool {
    let list = request.get(&["status", "conditions"]);
    let mut list = list.and_then(Value::as_array).into_iter().flatten();
    list.any(|one| one["type"] == "Approved" && one["status"] == "True")
}
