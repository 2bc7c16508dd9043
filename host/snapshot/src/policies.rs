//! DestinationRules by the hosts that they speak of, and which of them hold for which callers.
//!
//! The rules of the caller's namespace hold; if it has none for the host, those of the service's namespace; if that has none
//! either, those of the root namespace: each only if it is exported to the caller. In a namespace the rules for the host itself
//! count before those for `*.suffix`, and the longer suffix before the shorter one
//! (<https://istio.io/latest/docs/ops/best-practices/traffic-management/#cross-namespace-configuration>).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::hosts::HostIndex;
use crate::istio::destination_rule::DestinationPolicy;
use crate::route::ServiceName;
use crate::seen::Seen;

/// The rules that hold for a service, oldest first.
pub(crate) type Rules = Vec<Arc<DestinationPolicy>>;

/// Rules with the same host, oldest first.
type Alike<'a> = Vec<&'a Arc<DestinationPolicy>>;

/// A rule with how wide its host is, compared with the others that speak of the same service; the smallest is the narrowest.
type Ranked<'a> = (u32, &'a Arc<DestinationPolicy>);

/// A service as manifests name it: namespace and name in the mesh, or no namespace and a host outside.
pub(crate) type Named<'a> = (&'a str, &'a str);

/// Reads the name that a manifest gives a service; `None` is no name at all.
pub(crate) fn named(service: &ServiceName) -> Option<Named<'_>> {
    match service {
        ServiceName::Mesh { namespace, name } => Some((namespace, name)),
        ServiceName::Other(host) => Some(("", host)),
        ServiceName::Nothing(_) => None,
    }
}

/// Every DestinationRule.
pub(crate) struct Policies<'a> {
    exact: HashMap<Named<'a>, Alike<'a>>,
    wide: HostIndex<Alike<'a>>,
    /// The namespace whose rules hold where no other does.
    root: &'a str,
}

impl<'a> Policies<'a> {
    /// Files rules, in whatever order.
    pub(crate) fn new(
        all: impl Iterator<Item = &'a Arc<DestinationPolicy>>,
        root: &'a str,
    ) -> Self {
        let mut all: Vec<_> = all.collect();
        all.sort_by(|a, b| {
            (&a.created, &a.namespace, &a.name).cmp(&(&b.created, &b.namespace, &b.name))
        });
        let (mut exact, mut wide): (HashMap<_, Alike<'a>>, HashMap<_, Alike<'a>>) =
            (HashMap::new(), HashMap::new());
        for policy in all {
            for pattern in &policy.wide {
                wide.entry(pattern.clone()).or_default().push(policy);
            }
            if let Some(name) = named(&policy.service).filter(|_| policy.wide.is_empty()) {
                exact.entry(name).or_default().push(policy);
            }
        }
        let mut index = HostIndex::default();
        for (pattern, policies) in wide {
            index.insert(pattern, policies);
        }
        Self {
            exact,
            wide: index,
            root,
        }
    }

    /// What holds for a service of namespace `of`, called `host` in full.
    pub(crate) fn of(
        &self,
        name: Named<'_>,
        of: &str,
        host: impl FnOnce() -> String,
    ) -> Seen<Rules> {
        let mut lists: Vec<&Alike<'a>> = self.exact.get(&name).into_iter().collect();
        if !self.wide.is_empty() {
            lists.extend(self.wide.candidates(&host()));
        }
        if lists.is_empty() {
            return Seen::default();
        }
        let mut by_namespace: HashMap<&str, Vec<Ranked<'a>>> = HashMap::new();
        let mut callers: BTreeSet<&str> = BTreeSet::new();
        for (width, policy) in (0..)
            .zip(lists)
            .flat_map(|(width, list)| list.iter().map(move |policy| (width, *policy)))
        {
            callers.insert(&policy.namespace);
            if *policy.namespace == *of || *policy.namespace == *self.root {
                callers.extend(policy.export.named().iter().map(|name| &**name));
            }
            let of_namespace = by_namespace.entry(&policy.namespace).or_default();
            of_namespace.push((width, policy));
        }
        let chosen = |caller| self.chosen(&by_namespace, (caller, of));
        let everyone = chosen(None);
        let own = callers.into_iter().filter_map(|caller| {
            let own = chosen(Some(caller));
            (!same(&own, &everyone)).then(|| (Arc::from(caller), own))
        });
        Seen {
            own: own.collect(),
            everyone,
        }
    }

    /// What holds for a caller; without a caller, for those of whom no rule speaks.
    fn chosen(
        &self,
        by_namespace: &HashMap<&str, Vec<Ranked<'a>>>,
        (caller, of): (Option<&str>, &str),
    ) -> Rules {
        let sees = |policy: &DestinationPolicy| match caller {
            Some(caller) => policy.export.reaches(caller),
            None => policy.export.is_everywhere(),
        };
        // What the root namespace says to everyone does not come before what a service's namespace says of the service.
        let own = |policy: &DestinationPolicy| {
            *policy.namespace != *self.root || !policy.export.is_everywhere()
        };
        let tiers = [(caller, true), (Some(of), false), (Some(self.root), false)];
        for (namespace, callers) in tiers {
            let all = namespace.and_then(|name| by_namespace.get(name));
            let held = all.into_iter().flatten();
            let held: Vec<_> = held
                .filter(|(_, it)| (!callers || own(it)) && sees(it))
                .collect();
            // They stand in the order of their width.
            if let Some((narrowest, _)) = held.first() {
                let rules = held.iter().filter(|(width, _)| width == narrowest);
                return rules.map(|(_, policy)| Arc::clone(policy)).collect();
            }
        }
        Rules::new()
    }
}

/// Whether two lists have the same rules.
fn same(a: &Rules, b: &Rules) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}
