//! A node writes only what is its own (`osier_access::refused_write`), as upstream's admission plugin of the same name has it.

use osier_access::{NodeWrite, node_of, refused_write};
use osier_api::{Status, companion, resources};
use osier_process::Boxed;

use super::{Admit, Admitted, Review};

/// The admission step that holds nodes to it.
pub(crate) struct NodeRestriction;

impl Admit for NodeRestriction {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        let decided = node_of(review.user).map_or(Ok(()), |node| decide(node, review));
        Box::pin(std::future::ready(decided.map(|()| Admitted::default())))
    }
}

fn decide(node: &str, review: &Review<'_>) -> Result<(), Status> {
    let group = companion::group(node).filter(|_| *review.resource == resources::WORKLOAD_ENTRIES);
    let group =
        group.and_then(|(of, name)| review.objects.get(&resources::WORKLOAD_GROUPS, of, name));
    let write = NodeWrite {
        resource: review.resource,
        subresource: review.subresource,
        old: review.old,
        new: review.new,
        group: group.as_ref(),
    };
    let Some(why) = refused_write(node, &write) else {
        return Ok(());
    };
    let name = review.new.or(review.old).map_or("", |object| object.name());
    let words = format!("node {node:?} {why}");
    Err(Status::forbidden(review.resource, name, &words))
}
