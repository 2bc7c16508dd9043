//! Which of several objects speaks for a host between pods, and to whom.
//!
//! One object decides for a host, for each caller: among those that are exported to its namespace, first one of its own namespace
//! that is not for everyone, then one that names the namespace, then one for everyone; of these the oldest
//! (<https://istio.io/latest/docs/reference/config/networking/virtual-service/#VirtualService>, `exportTo`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::finding::{Finding, FindingKind};
use crate::seen::Seen;
use crate::table::{Filed, HostName, HostRoutes, HostSeen, RouteSet, kept_or};

/// A route set that names a host.
pub(crate) struct Claim<'a> {
    pub(crate) set: &'a Arc<RouteSet>,
    pub(crate) host: &'a HostName,
}

/// The position of the claim that holds, for each caller. Claims are given oldest first.
fn winners(claims: &[Claim<'_>]) -> Seen<Option<usize>> {
    let mut named: HashMap<&Arc<str>, (bool, usize)> = HashMap::new();
    for (place, claim) in claims.iter().enumerate() {
        for namespace in claim.set.export.named() {
            // Its own namespace's word comes first, then the oldest.
            let rank = (claim.set.about.namespace != **namespace, place);
            let best = named.entry(namespace).or_insert(rank);
            *best = rank.min(*best);
        }
    }
    let own = named.into_iter();
    Seen {
        everyone: claims
            .iter()
            .position(|claim| claim.set.export.is_everywhere()),
        own: own
            .map(|(name, (_, place))| (Arc::clone(name), Some(place)))
            .collect(),
    }
}

/// The routes of a host for each caller. Who would speak and nowhere does is told why.
pub(crate) fn settle(
    claims: &[Claim<'_>],
    before: Option<&HostSeen>,
    found: &mut Vec<Finding>,
) -> HostSeen {
    let winners = winners(claims);
    let winning: HashSet<usize> = winners.all().copied().flatten().collect();
    let kept = kept(before);
    let mut routes: Vec<Option<Arc<HostRoutes>>> = Vec::new();
    for (place, claim) in claims.iter().enumerate() {
        if winning.contains(&place) {
            let filed = Filed {
                set: Arc::clone(claim.set),
                through: Vec::new(),
            };
            let before = kept.get(&Arc::as_ptr(claim.set)).copied();
            routes.push(Some(kept_or(before, vec![filed], HostRoutes::new)));
            continue;
        }
        routes.push(None);
        let decider = match claim.set.export.named() {
            [] if !claim.set.export.is_everywhere() => None,
            [] => winners.everyone,
            [first, ..] => *winners.by(first),
        };
        let decider = decider.and_then(|by| Some((claims.get(by)?, by < place)));
        found.extend(decider.map(|decider| beaten(claim, decider)));
    }
    let made = |place: &Option<usize>| place.and_then(|place| routes.get(place)?.clone());
    Seen {
        everyone: made(&winners.everyone),
        own: winners
            .own
            .iter()
            .map(|(name, place)| (Arc::clone(name), made(place)))
            .collect(),
    }
}

/// The routes before, by the set that they were made of.
fn kept(before: Option<&HostSeen>) -> HashMap<*const RouteSet, &Arc<HostRoutes>> {
    let all = before.into_iter().flat_map(Seen::all).flatten();
    let of_set = all.filter_map(|routes| match routes.sets.as_slice() {
        [filed] => Some((Arc::as_ptr(&filed.set), routes)),
        _ => None,
    });
    of_set.collect()
}

fn beaten(claim: &Claim<'_>, (decider, older): (&Claim<'_>, bool)) -> Finding {
    let (about, by) = (&claim.set.about, &decider.set.about);
    let why = match older {
        true => "is older",
        false => "is of the caller's own namespace (exportTo)",
    };
    Finding {
        resource: about.resource,
        namespace: about.namespace.clone(),
        name: about.name.clone(),
        field: claim.host.field.clone(),
        kind: FindingKind::Conflict,
        detail: format!(
            "{} {}/{} {why} and decides for host {:?}",
            by.resource, by.namespace, by.name, claim.host.text
        ),
    }
}
