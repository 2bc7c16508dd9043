//! Where calls are decided about beside plugins: where a workload is called, and at gateways.

use osier_authorization::Place;
use osier_proxy::{Call, Direction};

/// Stands for the place of an action, which only policies of plugins have.
pub(crate) const NATIVE: usize = usize::MAX;

/// The place of a call, if it is decided about at this side of it.
pub(crate) fn place<'a>(call: &Call<'a>) -> Option<Place<'a>> {
    match (call.direction, call.destination) {
        (Direction::Outbound, _) => call.gateway.map(|_| Place::Gateway(call.gateways)),
        (Direction::Inbound, Some(workload)) => Some(Place::Workload {
            namespace: &workload.namespace,
            labels: &workload.labels,
            outside: workload.principal.is_empty(),
            service: call.service.map(|it| (&*it.namespace, &*it.name)),
        }),
        (Direction::Inbound, None) => None,
    }
}
