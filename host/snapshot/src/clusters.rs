//! The ports of a service: their endpoints, their subsets from DestinationRules. Sharing with the previous snapshot what is equal.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use osier_balancing::{ConsistentHash, LoadBalancer, Origination, Speaks, Upstream};

use crate::endpoint::Endpoint;
use crate::export::Export;
use crate::gateway_api::backend_tls::BackendTls;
use crate::istio::destination_rule::{DestinationPolicy, Subset};
use crate::istio::traffic_policy::{self, Resolved};
use crate::istio::upstream::UpstreamPolicy;
use crate::secret::Secrets;
use crate::serves::{Key, Port, Serves, key};
use crate::service::{Cluster, Protocol, Service, ServicePort, ServiceRef};

/// Builds the ports of one service, whatever kind of object it comes from.
pub(crate) struct Clusters<'a> {
    pub(crate) names: &'a Arc<ServiceRef>,
    /// The DestinationRules that speak of it, oldest first.
    pub(crate) policies: &'a [Arc<DestinationPolicy>],
    pub(crate) previous: Option<&'a Arc<Service>>,
    /// Which namespaces may call it.
    pub(crate) export: &'a Export,
    /// Names of which the server's certificate must have one, if no DestinationRule says.
    pub(crate) server_names: &'a [Arc<str>],
    pub(crate) secrets: &'a Secrets,
    /// A caller's address keeps its endpoint, unless a DestinationRule chooses another way.
    pub(crate) by_address: bool,
    /// BackendTLSPolicies of its namespace, oldest first.
    pub(crate) tls: &'a [Arc<BackendTls>],
}

impl Clusters<'_> {
    pub(crate) fn port(&self, port: Port, serving: impl Iterator<Item = Serves>) -> ServicePort {
        let previous = self.previous_port(port.number, &port.name);
        let endpoints = share(serving, previous);
        let subsets = self.subsets(&port, &endpoints, previous);
        // The oldest rule has the last word.
        let said = self.policies.iter().rev().map(|policy| &policy.traffic);
        let said = traffic_policy::resolve(said, port.number);
        let before = previous.map(|port| &port.cluster);
        let cluster = self.cluster((&port, ""), endpoints, said, before);
        ServicePort {
            name: port.name,
            port: port.number,
            protocol: port.protocol,
            cluster,
            subsets,
        }
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
        let mut ports = self.previous?.ports.iter();
        ports.find(|known| known.port == port && *known.name == *name)
    }

    fn subsets(
        &self,
        port: &Port,
        endpoints: &[Arc<Endpoint>],
        previous: Option<&ServicePort>,
    ) -> HashMap<Arc<str>, Arc<Cluster>> {
        let mut clusters = HashMap::new();
        for policy in self.policies {
            for subset in &policy.subsets {
                if clusters.contains_key(&subset.name) {
                    continue;
                }
                let chosen = endpoints.iter().filter(|e| selects(subset, e)).cloned();
                let before = previous.and_then(|port| port.subsets.get(&subset.name));
                let said = [&policy.traffic, &subset.traffic].into_iter();
                let said = traffic_policy::resolve(said, port.number);
                let named = (port, &*subset.name);
                let cluster = self.cluster(named, chosen.collect(), said, before);
                clusters.insert(Arc::clone(&subset.name), cluster);
            }
        }
        clusters
    }

    fn cluster(
        &self,
        (port, subset): (&Port, &str),
        endpoints: Vec<Arc<Endpoint>>,
        said: Resolved,
        previous: Option<&Arc<Cluster>>,
    ) -> Arc<Cluster> {
        let name = match previous {
            Some(previous) => Arc::clone(&previous.name),
            None => format!("outbound|{}|{subset}|{}", port.number, self.names.host).into(),
        };
        // Connections are kept by what they were made for, so equal settings stay one value.
        let before = previous.map(|previous| (&previous.balancing, &previous.upstream));
        let mut balancing = said.balancing;
        if self.by_address && balancing.balancer == LoadBalancer::default() {
            balancing.hash = balancing.hash.or(Some(ConsistentHash::SOURCE_IP));
        }
        let balancing = shared(balancing, before.map(|before| before.0));
        let upstream = self.upstream(port, &said.upstream);
        let how = (balancing, shared(upstream, before.map(|before| before.1)));
        let mut cluster = Cluster::new(name, Arc::clone(self.names), endpoints, how);
        cluster.export = self.export.clone();
        match previous {
            Some(previous) if previous.same(&cluster) => Arc::clone(previous),
            _ => {
                cluster.finish(previous.map(|previous| &**previous));
                Arc::new(cluster)
            }
        }
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
            let at = (serves.place, serves.port);
            Arc::new(Endpoint::at(
                at,
                serves.workload,
                (serves.weight, serves.check),
            ))
        }
    };
    fresh.map(kept).collect()
}

fn is_of(endpoint: &Endpoint, serves: &Serves) -> bool {
    endpoint.workload == serves.workload
        && endpoint.weight == serves.weight
        && endpoint.check == serves.check
}

/// The value before, if it is equal.
fn shared<T: PartialEq>(value: T, before: Option<&Arc<T>>) -> Arc<T> {
    let same = before.filter(|before| ***before == value);
    same.map_or_else(|| Arc::new(value), Arc::clone)
}

fn selects(subset: &Subset, endpoint: &Endpoint) -> bool {
    let labels = &endpoint.workload.labels;
    subset
        .labels
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}
