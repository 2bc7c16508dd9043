//! The ports of a service: their endpoints, their subsets from DestinationRules. Sharing with the previous snapshot what is equal.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::export::Export;
use crate::istio::destination_rule::{DestinationPolicy, Subset};
use crate::istio::upstream::UpstreamPolicy;
use crate::secret::Secrets;
use crate::serves::{Key, Port, Serves, key};
use crate::service::{Cluster, LoadBalancer, Protocol, Service, ServicePort, ServiceRef};
use crate::upstream::{Origination, Speaks, Upstream};

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
}

impl Clusters<'_> {
    pub(crate) fn port(&self, port: Port, serving: impl Iterator<Item = Serves>) -> ServicePort {
        let previous = self.previous_port(port.number, &port.name);
        let endpoints = share(serving, previous);
        let subsets = self.subsets(&port, &endpoints, previous);
        let own = |policy: &Arc<DestinationPolicy>| policy.balancer;
        let balancer = self.policies.iter().find_map(own).unwrap_or_default();
        let said = self.policies.iter().map(|policy| &policy.upstream);
        let upstream = self.upstream(&port, said.filter(|said| !said.is_empty()).take(1));
        let before = previous.map(|port| &port.cluster);
        let cluster = self.cluster((port.number, ""), endpoints, (balancer, upstream), before);
        ServicePort {
            name: port.name,
            port: port.number,
            protocol: port.protocol,
            cluster,
            subsets,
        }
    }

    /// How a port is spoken to: as its protocol has it, then as DestinationRules say, the last word last. What a rule names in vain is
    /// found by the reference check.
    fn upstream<'p>(
        &self,
        port: &Port,
        said: impl Iterator<Item = &'p UpstreamPolicy>,
    ) -> Upstream {
        let speaks = match port.protocol {
            Protocol::Http2 | Protocol::Grpc => Speaks::Http2,
            Protocol::Http | Protocol::Tcp => Speaks::Http1,
        };
        let tls = port.secure.then(Origination::default);
        let mut upstream = Upstream {
            speaks,
            tls,
            ..Upstream::default()
        };
        for said in said {
            let _found_later = said.apply(&mut upstream, self.secrets);
        }
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
                let balancer = subset.balancer.or(policy.balancer).unwrap_or_default();
                let said = [&policy.upstream, &subset.upstream].into_iter();
                let how = (balancer, self.upstream(port, said));
                let named = (port.number, &*subset.name);
                let cluster = self.cluster(named, chosen.collect(), how, before);
                clusters.insert(Arc::clone(&subset.name), cluster);
            }
        }
        clusters
    }

    fn cluster(
        &self,
        (port, subset): (u16, &str),
        endpoints: Vec<Arc<Endpoint>>,
        (balancer, upstream): (LoadBalancer, Upstream),
        previous: Option<&Arc<Cluster>>,
    ) -> Arc<Cluster> {
        let name = match previous {
            Some(previous) => Arc::clone(&previous.name),
            None => format!("outbound|{port}|{subset}|{}", self.names.host).into(),
        };
        // Connections are kept by what they were made for, so equal settings stay one value.
        let upstream = previous
            .map(|previous| &previous.upstream)
            .filter(|before| ***before == upstream)
            .map_or_else(|| Arc::new(upstream), Arc::clone);
        let mut cluster = Cluster::new(
            name,
            Arc::clone(self.names),
            endpoints,
            (balancer, upstream),
        );
        cluster.export = self.export.clone();
        match previous {
            Some(previous) if previous.same(&cluster) => Arc::clone(previous),
            Some(previous) => {
                cluster.continue_from(previous);
                Arc::new(cluster)
            }
            None => Arc::new(cluster),
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
        Some(endpoint) if endpoint.workload == serves.workload => Arc::clone(endpoint),
        _ => Arc::new(Endpoint::at(serves.place, serves.port, serves.workload)),
    };
    fresh.map(kept).collect()
}

fn selects(subset: &Subset, endpoint: &Endpoint) -> bool {
    let labels = &endpoint.workload.labels;
    subset
        .labels
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}
