//! Roles and bindings give nobody more than their author has, and requests for certificates are approved by those who may.

use std::sync::Arc;

use osier_access::rbac::Action;
use osier_access::{Rules, check_grant};
use osier_api::{Object, Status, resources};
use osier_process::Boxed;
use serde_json::Value;

use super::{Admit, Admitted, Operation, Review};

/// What a request has come to when it was signed.
const CERTIFICATE: [&str; 2] = ["status", "certificate"];

/// The admission step that holds roles and bindings to it.
pub(crate) struct Grants(pub(crate) Arc<Rules>);

impl Admit for Grants {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        let new = review.new.filter(|_| review.operation != Operation::Delete);
        let result = new.map_or(Ok(()), |new| {
            self.check_signing(review, new)?;
            check_grant(&self.0, review.user, review.resource, (review.old, new))
        });
        Box::pin(async move { result.map(|()| Admitted::default()) })
    }
}

impl Grants {
    /// Who approves a request, or signs it, must be allowed to for its signer.
    fn check_signing(&self, review: &Review<'_>, new: &Object) -> Result<(), Status> {
        let asked = *review.resource == resources::CERTIFICATE_SIGNING_REQUESTS;
        let Some(old) = review.old.filter(|_| asked) else {
            return Ok(());
        };
        let signer = new.text(&["spec", "signerName"]);
        for (verb, done) in [
            ("approve", is_approved(new) && !is_approved(old)),
            ("sign", new.get(&CERTIFICATE) != old.get(&CERTIFICATE)),
        ] {
            if done && !self.may(review, verb, signer) {
                let words =
                    format!("user not permitted to {verb} requests with signerName {signer:?}");
                return Err(Status::forbidden(review.resource, new.name(), &words));
            }
        }
        Ok(())
    }

    fn may(&self, review: &Review<'_>, verb: &str, signer: &str) -> bool {
        let domain = signer.split('/').next().unwrap_or_default();
        let all = format!("{domain}/*");
        [signer, all.as_str()].into_iter().any(|name| {
            let action = Action::Resource {
                verb,
                group: review.resource.group,
                resource: "signers",
                subresource: "",
                namespace: "",
                name,
            };
            self.0.allow(review.user, &action)
        })
    }
}

fn is_approved(request: &Object) -> bool {
    let list = request.get(&["status", "conditions"]);
    let mut list = list.and_then(Value::as_array).into_iter().flatten();
    list.any(|one| one["type"] == "Approved" && one["status"] == "True")
}
