//! Which of several objects speaks for a host between pods, and to whom.
//!
//! One object decides for a host, for each caller: among those that are exported to its namespace, first one of its own namespace
//! that is not for everyone, then one that names the namespace, then one for everyone; of these the oldest
//! (<https://istio.io/latest/docs/reference/config/networking/virtual-service/#VirtualService>, `exportTo`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::seen::Seen;
use crate::table::{Filed, HostName, HostRoutes, HostSeen, RouteSet, kept_or};
use osier_standing::{Finding, FindingKind};

/// A route set that names a host.
pub(crate) struct Claim<'a> {
    pub(crate) set: &'a Arc<RouteSet>,
    pub(crate) host: &'a HostName,
}

/// The positions of the claims that hold, the first one first: those that name a namespace for its callers, those for everyone for
/// all. Claims are given oldest first.
fn ranked(claims: &[Claim<'_>]) -> Seen<Vec<usize>> {
    let mut ranked = Seen::<Vec<usize>>::default();
    for (place, claim) in claims.iter().enumerate() {
        if claim.set.export.is_everywhere() {
            ranked.everyone.push(place);
        }
        for namespace in claim.set.export.named() {
            let own = ranked.own.entry(Arc::clone(namespace)).or_default();
            own.push(place);
        }
    }
    for (namespace, own) in &mut ranked.own {
        // Its own namespace's word comes first.
        own.sort_by_key(|place| {
            let of = claims
                .get(*place)
                .map(|claim| claim.set.about.namespace.as_str());
            of != Some(&**namespace)
        });
    }
    ranked
}

/// The routes of a host for each caller; where callers may have scopes, also those that count if the first is in none. Who would
/// speak and nowhere comes first is told why.
pub(crate) fn settle(
    claims: &[Claim<'_>],
    scoped: bool,
    before: Option<&HostSeen>,
    found: &mut Vec<Finding>,
) -> HostSeen {
    let ranked = ranked(claims);
    let firsts: HashSet<usize> = ranked
        .all()
        .filter_map(|all| all.first().copied())
        .collect();
    let kept = kept(before);
    let mut routes: Vec<Option<Arc<HostRoutes>>> = Vec::new();
    for (place, claim) in claims.iter().enumerate() {
        let first = firsts.contains(&place);
        routes.push((first || scoped).then(|| claim.routes(&kept)));
        let beaten = claim.rival(&ranked).filter(|_| !first);
        let by = beaten.and_then(|by| Some((claims.get(by)?, by < place)));
        found.extend(by.map(|by| beaten_by(claim, by)));
    }
    let most = if scoped { usize::MAX } else { 1 };
    let made = |places: &Vec<usize>| {
        let all = places.iter().take(most);
        all.filter_map(|place| routes.get(*place)?.clone())
            .collect()
    };
    let own = ranked.own.iter();
    let own = own.map(|(name, places)| (Arc::clone(name), made(places)));
    Seen {
        everyone: made(&ranked.everyone),
        own: own.collect(),
    }
}

impl Claim<'_> {
    /// The routes of its set, as they were if the set did not change.
    fn routes(&self, kept: &Kept<'_>) -> Arc<HostRoutes> {
        let filed = Filed {
            set: Arc::clone(self.set),
            through: Vec::new(),
        };
        let before = kept.get(&Arc::as_ptr(self.set)).copied();
        kept_or(before, vec![filed], HostRoutes::new)
    }

    /// The claim that comes first where this one would speak.
    fn rival(&self, ranked: &Seen<Vec<usize>>) -> Option<usize> {
        let rivals = match self.set.export.named() {
            [first, ..] => ranked.own.get(first)?,
            [] if self.set.export.is_everywhere() => &ranked.everyone,
            [] => return None,
        };
        rivals.first().copied()
    }
}

/// Routes by the set that they were made of.
type Kept<'a> = HashMap<*const RouteSet, &'a Arc<HostRoutes>>;

/// The routes before, by the set that they were made of.
fn kept(before: Option<&HostSeen>) -> Kept<'_> {
    let all = before.into_iter().flat_map(Seen::all).flatten();
    let of_set = all.filter_map(|routes| match routes.sets.as_slice() {
        [filed] => Some((Arc::as_ptr(&filed.set), routes)),
        _ => None,
    });
    of_set.collect()
}

fn beaten_by(claim: &Claim<'_>, (decider, older): (&Claim<'_>, bool)) -> Finding {
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
