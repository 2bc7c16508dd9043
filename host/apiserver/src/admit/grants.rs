//! Roles and bindings give nobody more than their author has.

use std::sync::Arc;

use osier_access::{Rules, check_grant};
use osier_api::Status;
use osier_process::Boxed;

use super::{Admit, Admitted, Operation, Review};

/// The admission step that holds roles and bindings to it.
pub(crate) struct Grants(pub(crate) Arc<Rules>);

impl Admit for Grants {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        let new = review.new.filter(|_| review.operation != Operation::Delete);
        let result = new.map_or(Ok(()), |new| {
            check_grant(&self.0, review.user, review.resource, (review.old, new))
        });
        Box::pin(async move { result.map(|()| Admitted::default()) })
    }
}
