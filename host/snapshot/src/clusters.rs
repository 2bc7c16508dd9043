//! The ports of a service: their endpoints, their subsets from DestinationRules. Sharing with the previous snapshot what is equal.

mod made;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use osier_balancing::{ConsistentHash, LoadBalancer, Origination, Speaks, Upstream};

use self::made::{Before, Made};
use crate::gateway_api::backend_tls::BackendTls;
use crate::istio::destination_rule::{DestinationPolicy, Subset};
use crate::policies::{Holding, Rules};
use osier_routing::endpoint::Endpoint;
use osier_routing::serves::{Key, Port, Serves, key};
use osier_routing::service::{Chosen, Cluster, Protocol, Service, ServicePort, ServiceRef, View};
use osier_traffic::Resolved;
use osier_traffic::Secrets;
use osier_traffic::UpstreamPolicy;

/// Builds the ports of one service, whatever kind of object it comes from.
pub(crate) struct Clusters<'a> {
    pub(crate) names: &'a Arc<ServiceRef>,
    /// The DestinationRules that hold for it, for each caller.
    pub(crate) policies: &'a Holding,
    pub(crate) previous: Option<&'a Arc<Service>>,
    /// Names of which the server's certificate must have one, if no DestinationRule says.
    pub(crate) server_names: &'a [Arc<str>],
    pub(crate) secrets: &'a Secrets,
    /// A caller's address keeps its endpoint, unless a DestinationRule chooses another way.
    pub(crate) by_address: bool,
    /// BackendTLSPolicies of its namespace, oldest first.
    pub(crate) tls: &'a [Arc<BackendTls>],
}

/// A port under construction.
struct Draft<'a> {
    port: &'a Port,
    endpoints: Vec<Arc<Endpoint>>,
    previous: Option<&'a ServicePort>,
    /// What was made so far, by subset; first what everyone sees.
    made: HashMap<Box<str>, Made>,
}

/// Who sees what is made.
#[derive(Clone, Copy)]
enum By<'a> {
    /// All for whom nothing else is made.
    Others,
    /// Callers for whom other rules hold, with what they saw before.
    Some(Option<&'a View>),
}

/// Who sees what is made, and what of it: a subset, or all.
type Which<'a, 'n> = (By<'a>, Option<&'n Arc<str>>);

impl<'a> Draft<'a> {
    /// The same before: what these callers had, if it was their own, and what everyone else had.
    fn before(&self, (by, subset): Which<'a, '_>) -> Before<'a> {
        let Some(previous) = self.previous else {
            return Before::default();
        };
        let subset = subset.map(|name| &**name);
        let everyone = previous.seen_by_others(subset);
        match by {
            By::Others => Before {
                own: everyone,
                others: None,
            },
            By::Some(view) => Before {
                own: view.and_then(|view| view.cluster(subset)),
                others: everyone,
            },
        }
    }
}

impl Clusters<'_> {
    pub(crate) fn port(&self, port: Port, serving: impl Iterator<Item = Serves>) -> ServicePort {
        let previous = self.previous_port(port.number, &port.name);
        let mut draft = Draft {
            port: &port,
            endpoints: share(serving, previous),
            previous,
            made: HashMap::new(),
        };
        let rules = &self.policies.seen.everyone;
        let View { cluster, subsets } = self.view(&mut draft, rules, By::Others);
        let views = self.views(&mut draft);
        let chosen = self.chosen(&mut draft);
        ServicePort {
            cluster,
            subsets,
            views,
            chosen,
            port: port.number,
            protocol: port.protocol,
            name: port.name,
        }
    }

    /// What callers see for whom other rules hold; one value for all of whom the same do.
    fn views(&self, draft: &mut Draft<'_>) -> HashMap<Arc<str>, Arc<View>> {
        let mut own: Vec<(&Arc<str>, &Rules)> = self.policies.seen.own.iter().collect();
        own.sort_by_key(|(caller, _)| *caller);
        let mut made: HashMap<Vec<*const DestinationPolicy>, Arc<View>> = HashMap::new();
        let mut views = HashMap::new();
        for (caller, rules) in own {
            let key = rules.iter().map(Arc::as_ptr).collect();
            let before = draft.previous.and_then(|port| port.views.get(caller));
            let by = By::Some(before.map(|view| &**view));
            let view = made
                .entry(key)
                .or_insert_with(|| Arc::new(self.view(draft, rules, by)));
            views.insert(Arc::clone(caller), Arc::clone(view));
        }
        views
    }

    /// What workloads see that rules choose by their labels.
    fn chosen(&self, draft: &mut Draft<'_>) -> Vec<Chosen> {
        let rules = self.policies.chosen.iter();
        let chosen = rules.map(|rule| {
            let (namespace, labels) = (rule.namespace.as_str(), &rule.selector);
            let before = draft
                .previous
                .map_or(&[][..], |port| port.chosen.as_slice());
            let mut before = before.iter();
            let before = before.find(|one| *one.namespace == *namespace && one.labels == *labels);
            let by = By::Some(before.map(|one| &*one.view));
            Chosen {
                namespace: namespace.into(),
                labels: labels.clone(),
                view: Arc::new(self.view(draft, &vec![Arc::clone(rule)], by)),
            }
        });
        chosen.collect()
    }

    /// The port as these rules have it.
    fn view<'d>(&self, draft: &mut Draft<'d>, rules: &Rules, by: By<'d>) -> View {
        let mut subsets = HashMap::new();
        for policy in rules {
            for subset in &policy.subsets {
                if subsets.contains_key(&subset.name) {
                    continue;
                }
                let chosen = draft.endpoints.iter().filter(|e| selects(subset, e));
                let chosen = chosen.cloned().collect();
                let said = [&policy.traffic, &subset.traffic].into_iter();
                let said = osier_traffic::resolve(said, draft.port.number);
                let which = (by, Some(&subset.name));
                let cluster = self.cluster(draft, which, chosen, said);
                subsets.insert(Arc::clone(&subset.name), cluster);
            }
        }
        // The oldest rule has the last word.
        let said = rules.iter().rev().map(|policy| &policy.traffic);
        let said = osier_traffic::resolve(said, draft.port.number);
        let all = draft.endpoints.clone();
        let cluster = self.cluster(draft, (by, None), all, said);
        View { cluster, subsets }
    }

    /// How a port is spoken to: as its protocol has it, then as DestinationRules say. What a rule names in vain is found by the
    /// reference check.
    fn upstream(&self, port: &Port, said: &UpstreamPolicy) -> Upstream {
        let speaks = match port.protocol {
            Protocol::Http2 | Protocol::Grpc => Speaks::Http2,
            Protocol::Http | Protocol::Tcp => Speaks::Http1,
        };
        let own = self.names.name.as_ref();
        let policy = self
            .tls
            .iter()
            .find(|policy| policy.is_for(own, &port.name));
        let tls = policy.map(|policy| policy.origination.clone());
        let tls = tls.or_else(|| port.secure.then(Origination::default));
        let mut upstream = Upstream {
            speaks,
            tls,
            ..Upstream::default()
        };
        let _found_later = said.apply(&mut upstream, self.secrets);
        if let Some(tls) = upstream.tls.as_mut().filter(|tls| tls.names.is_empty()) {
            tls.names = self.server_names.to_vec();
        }
        upstream
    }

    fn previous_port(&self, port: u16, name: &str) -> Option<&ServicePort> {
        let previous = self.previous?;
        let mut ports = previous.ports.iter().chain(&previous.datagrams);
        ports.find(|known| known.port == port && *known.name == *name)
    }

    /// What was made already or stood before, if it is the same; else a new one that goes on where they are.
    fn cluster<'d>(
        &self,
        draft: &mut Draft<'d>,
        (by, subset): Which<'d, '_>,
        endpoints: Vec<Arc<Endpoint>>,
        said: Resolved,
    ) -> Arc<Cluster> {
        let before = draft.before((by, subset));
        let text: &str = subset.map_or("", |name| name);
        let made = match draft.made.get_mut(text) {
            Some(made) => made,
            None => draft.made.entry(text.into()).or_default(),
        };
        let name = before.own.map(|own| &own.name).or(made.name());
        let name = name.map_or_else(
            || format!("outbound|{}|{text}|{}", draft.port.number, self.names.host).into(),
            Arc::clone,
        );
        let mut balancing = said.balancing;
        if self.by_address && balancing.balancer == LoadBalancer::default() {
            balancing.hash = balancing.hash.or(Some(ConsistentHash::SOURCE_IP));
        }
        let upstream = self.upstream(draft.port, &said.upstream);
        let how = made.manner((balancing, upstream), before.own);
        let cluster = Cluster::new(name, Arc::clone(self.names), endpoints, how);
        made.settle(cluster, before)
    }
}

/// The endpoint that stood before carries the load counter and the connections.
fn share(
    serving: impl Iterator<Item = Serves>,
    previous: Option<&ServicePort>,
) -> Vec<Arc<Endpoint>> {
    let before = previous.map_or(&[][..], |port| port.cluster.endpoints.as_slice());
    let before: HashMap<Key, &Arc<Endpoint>> = before
        .iter()
        .map(|e| (key(&e.place, e.port, &e.workload), e))
        .collect();
    let mut seen = HashSet::new();
    let fresh = serving.filter(|serves| seen.insert(serves.key()));
    let kept = |serves: Serves| match before.get(&serves.key()) {
        Some(endpoint) if is_of(endpoint, &serves) => Arc::clone(endpoint),
        _ => {
            let (at, more) = ((serves.place, serves.port), (serves.weight, serves.check));
            Arc::new(Endpoint::at(at, serves.workload, more))
        }
    };
    fresh.map(kept).collect()
}

fn is_of(endpoint: &Endpoint, serves: &Serves) -> bool {
    endpoint.workload == serves.workload
        && endpoint.weight == serves.weight
        && endpoint.check == serves.check
}

fn selects(subset: &Subset, endpoint: &Endpoint) -> bool {
    let labels = &endpoint.workload.labels;
    subset
        .labels
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}
