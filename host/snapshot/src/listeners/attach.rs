//! Whether a route attaches to a gateway, in the Gateway API's terms, and what is told of the gateway's listeners.

use super::{Drafts, Placed, common};
use crate::gateways::{GatewaySet, ServedHost, ServerSpec};
use crate::table::{About, RouteSet};
use osier_routing::kind::Kind;
use osier_standing::{Attachment, GatewayStanding, ListenerStanding};

/// Attaches a route to the servers that it names; says why not, if to none.
pub(super) fn attach(set: &RouteSet, placed: &mut [&mut Placed]) -> Attachment {
    if placed.is_empty() {
        return Attachment::NoMatchingParent;
    }
    let mut best = Attachment::NotAllowed;
    for placed in placed {
        if !allows(&placed.spec, &set.about) {
            continue;
        }
        let mut hosts = set.hosts.iter();
        if hosts.any(|host| !common(&placed.spec, &set.about, &host.pattern).is_empty()) {
            placed.attached += 1;
            best = Attachment::Accepted;
        } else if best == Attachment::NotAllowed {
            best = Attachment::NoMatchingHostname;
        }
    }
    best
}

fn allows(spec: &ServerSpec, about: &About) -> bool {
    let takes = |kinds: &Vec<Kind>| kinds.contains(&about.resource);
    let mut hosts = spec.hosts.iter();
    spec.kinds.as_ref().is_none_or(takes)
        && hosts.any(|served| served.namespaces.hold(&about.namespace))
}

/// Whether two servers have TLS on one port for some of the same hosts.
fn overlap(one: &ServerSpec, other: &ServerSpec) -> bool {
    let common = |own: &ServedHost| {
        let mut others = other.hosts.iter();
        others.any(|host| own.pattern.intersect(&host.pattern).is_some())
    };
    one.tls.is_some()
        && other.tls.is_some()
        && one.port == other.port
        && one.hosts.iter().any(common)
}

impl Drafts {
    /// What became of a gateway, if its status tells it listener by listener.
    pub(super) fn standing(&self, gateway: &GatewaySet) -> Option<GatewayStanding> {
        let about = &gateway.about;
        let key = (about.resource, about.namespace.clone(), about.name.clone());
        let placed_all = self.placed.get(&key)?;
        let listener = |placed: &Placed| {
            let others = placed_all
                .iter()
                .filter(|other| !std::ptr::eq(*other, placed));
            Some(ListenerStanding {
                overlapping: others
                    .map(|other| &other.spec)
                    .any(|other| overlap(&placed.spec, other)),
                clients: placed.spec.clients.clone(),
                name: placed.spec.name.clone(),
                field: placed.spec.field.clone(),
                kinds: placed.spec.kinds.clone()?,
                key: placed.at.map(|at| at.key),
                refused: placed.spec.refused,
                attached: placed.attached,
            })
        };
        Some(GatewayStanding {
            subject: about.subject(gateway.generation),
            addresses: gateway.addresses.clone(),
            insecure: gateway.insecure,
            listeners: placed_all.iter().map(listener).collect::<Option<_>>()?,
        })
    }
}
