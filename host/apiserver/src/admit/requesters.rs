//! Who asks for a certificate is written into the request by the server: what a caller says of itself there counts for nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_access::certificates::{CLIENT, MASTERS};
use osier_api::{Status, resources};
use osier_process::Boxed;
use serde_json::Value;

use super::{Admit, Admitted, Operation, Review};

/// The admission step that writes it.
pub(crate) struct Requesters;

impl Admit for Requesters {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        let result = check_group(review).map(|()| stamped(review));
        Box::pin(std::future::ready(result))
    }
}

/// Nobody asks for a certificate of those who may do everything.
fn check_group(review: &Review<'_>) -> Result<(), Status> {
    let asks = *review.resource == resources::CERTIFICATE_SIGNING_REQUESTS
        && review.operation == Operation::Create;
    let Some(new) = review.new.filter(|_| asks) else {
        return Ok(());
    };
    let pem = STANDARD.decode(new.text(&["spec", "request"])).ok();
    let pem = pem.and_then(|bytes| String::from_utf8(bytes).ok());
    let subject = pem.and_then(|pem| osier_identity::requested(&pem).ok());
    let masters =
        subject.is_some_and(|subject| subject.organizations.iter().any(|group| group == MASTERS));
    if new.text(&["spec", "signerName"]) == CLIENT && masters {
        let words = format!("use of {CLIENT} signer with {MASTERS} group is not allowed");
        return Err(Status::forbidden(review.resource, new.name(), &words));
    }
    Ok(())
}

fn stamped(review: &Review<'_>) -> Admitted {
    let asks = *review.resource == resources::CERTIFICATE_SIGNING_REQUESTS
        && review.operation == Operation::Create;
    let Some(new) = review.new.filter(|_| asks) else {
        return Admitted::default();
    };
    let mut object = new.clone();
    let who = review.user.to_value();
    for field in ["username", "uid", "groups", "extra"] {
        match who.get(field) {
            None | Some(Value::Null) => drop(object.remove(&["spec", field])),
            Some(value) => object.set(&["spec", field], value.clone()),
        }
    }
    Admitted {
        object: Some(object),
        warnings: Vec::new(),
    }
}
