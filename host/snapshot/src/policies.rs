//! DestinationRules by the hosts that they speak of, and which of them hold for which callers.
//!
//! The rules of the caller's namespace hold; if it has none for the host, those of the service's namespace; if that has none
//! either, those of the root namespace: each only if it is exported to the caller. In a namespace the rules for the host itself
//! count before those for `*.suffix`, and the longer suffix before the shorter one
//! (<https://istio.io/latest/docs/ops/best-practices/traffic-management/#cross-namespace-configuration>).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::istio::destination_rule::DestinationPolicy;
use crate::seen::Seen;
use osier_routing::hosts::{HostIndex, HostPattern};
use osier_routing::route::ServiceName;

/// The rules that hold for a service, oldest first.
pub(crate) type Rules = Vec<Arc<DestinationPolicy>>;

/// What holds for a service.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// For callers by their namespace.
    pub(crate) seen: Seen<Rules>,
    /// For workloads that a rule of their namespace chooses by their labels: it alone, and the oldest first.
    pub(crate) chosen: Rules,
}

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
        all.sort_by_key(|policy| (&policy.created, &policy.namespace, &policy.name));
        let mut this = Self {
            exact: HashMap::new(),
            wide: HostIndex::default(),
            root,
        };
        let mut wide: HashMap<&HostPattern, Alike<'a>> = HashMap::new();
        for policy in all {
            for pattern in &policy.wide {
                wide.entry(pattern).or_default().push(policy);
            }
            if let Some(name) = named(&policy.service).filter(|_| policy.wide.is_empty()) {
                this.exact.entry(name).or_default().push(policy);
            }
        }
        for (pattern, policies) in wide {
            this.wide.insert(pattern.clone(), policies);
        }
        this
    }

    /// What holds for a service of namespace `of`, called `host` in full.
    pub(crate) fn of(&self, name: Named<'_>, of: &str, host: impl FnOnce() -> String) -> Holding {
        let mut lists: Vec<&Alike<'a>> = self.exact.get(&name).into_iter().collect();
        if !self.wide.is_empty() {
            lists.extend(self.wide.candidates(&host()));
        }
        if lists.is_empty() {
            return Holding::default();
        }
        let concerned = Concerned::new(&lists, (of, self.root));
        let everyone = concerned.chosen(None);
        let callers = concerned.callers.iter().copied();
        let own = callers.filter_map(|caller| {
            let own = concerned.chosen(Some(caller));
            (!same(&own, &everyone)).then(|| (Arc::from(caller), own))
        });
        Holding {
            seen: Seen {
                own: own.collect(),
                everyone,
            },
            chosen: concerned.by_labels(),
        }
    }
}

/// The rules that speak of one service.
struct Concerned<'a> {
    /// Narrowest host first.
    by_namespace: HashMap<&'a str, Vec<Ranked<'a>>>,
    /// For whom something else may hold than for everyone.
    callers: BTreeSet<&'a str>,
    /// The namespace of the service, and the root.
    of: (&'a str, &'a str),
}

impl<'a> Concerned<'a> {
    fn new(lists: &[&Alike<'a>], of: (&'a str, &'a str)) -> Self {
        let mut this = Self {
            by_namespace: HashMap::new(),
            callers: BTreeSet::new(),
            of,
        };
        for (width, list) in (0..).zip(lists) {
            for policy in list.iter().copied() {
                let namespace = policy.namespace.as_str();
                this.callers.insert(namespace);
                if namespace == of.0 || namespace == of.1 {
                    let named = policy.export.named().iter();
                    this.callers.extend(named.map(|name| &**name));
                }
                let of_namespace = this.by_namespace.entry(namespace).or_default();
                of_namespace.push((width, policy));
            }
        }
        this
    }

    /// What holds for a caller; without a caller, for those of whom no rule speaks.
    fn chosen(&self, caller: Option<&str>) -> Rules {
        let (of, root) = self.of;
        let sees = |policy: &DestinationPolicy| {
            let exported = match caller {
                Some(caller) => policy.export.reaches(caller),
                None => policy.export.is_everywhere(),
            };
            exported && policy.selector.is_empty()
        };
        // What the root namespace says to everyone does not come before what a service's namespace says of the service.
        let own = |policy: &DestinationPolicy| {
            let first = *policy.namespace != *root || !policy.export.is_everywhere();
            first && sees(policy)
        };
        let own = caller.map(|caller| self.narrowest(caller, own));
        own.into_iter()
            .chain([self.narrowest(of, sees), self.narrowest(root, sees)])
            .find(|rules| !rules.is_empty())
            .unwrap_or_default()
    }

    /// The rules that choose workloads of their namespace by labels, of those with its narrowest host
    /// (<https://istio.io/latest/docs/reference/config/networking/destination-rule/#DestinationRule> workloadSelector).
    fn by_labels(&self) -> Rules {
        let mut namespaces: Vec<&str> = self.by_namespace.keys().copied().collect();
        namespaces.sort_unstable();
        let all = namespaces.into_iter().flat_map(|namespace| {
            self.narrowest(namespace, |policy| policy.export.reaches(namespace))
        });
        all.filter(|policy| !policy.selector.is_empty()).collect()
    }

    /// The rules of a namespace with the narrowest host of those that hold.
    fn narrowest(&self, namespace: &str, holds: impl Fn(&DestinationPolicy) -> bool) -> Rules {
        let all = self.by_namespace.get(namespace).into_iter().flatten();
        let mut held = all.filter(|(_, policy)| holds(policy)).peekable();
        let Some((narrowest, _)) = held.peek().copied() else {
            return Rules::new();
        };
        let rules = held.take_while(|(width, _)| width == narrowest);
        rules.map(|(_, policy)| Arc::clone(policy)).collect()
    }
}

/// Whether two lists have the same rules.
fn same(a: &Rules, b: &Rules) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}
