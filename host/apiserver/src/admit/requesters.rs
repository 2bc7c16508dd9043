//! Who asks for a certificate is written into the request by the server: what a caller says of itself there counts for nothing.

use osier_api::{Status, resources};
use osier_process::Boxed;
use serde_json::Value;

use super::{Admit, Admitted, Operation, Review};

/// The admission step that writes it.
pub(crate) struct Requesters;

impl Admit for Requesters {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(std::future::ready(Ok(stamped(review))))
    }
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
