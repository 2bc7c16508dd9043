//! Services that are not in the cluster: what ServiceEntries grant, by host and address, and to whom.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use osier_balancing::Check;

use crate::clusters::Clusters;
use crate::istio::service_entry::{EntryPort, Outside, Resolution, ServiceEntry};
use crate::istio::workload_group::WorkloadGroup;
use crate::kubernetes;
use crate::memory::Kept;
use crate::policies::{self, Policies};
use osier_routing::endpoint::Place;
use osier_routing::hosts::{HostIndex, HostPattern};
use osier_routing::names;
use osier_routing::route::ServiceName;
use osier_routing::serves::Serves;
use osier_routing::service::{Service, ServiceRef};
use osier_routing::workload::Workload;
use osier_standing::{Finding, FindingKind};
use osier_traffic::Secrets;

/// Services outside. Of several for one host, a caller gets its own namespace's, else the oldest that it sees.
#[derive(Debug, Default)]
pub(crate) struct Externals {
    by_host: HostIndex<Vec<Arc<Service>>>,
    by_name: HashMap<ServiceName, Vec<Arc<Service>>>,
    by_range: Vec<(IpNet, Arc<Service>)>,
}

/// What the services are made of besides their entries.
pub(crate) struct Sources<'a> {
    /// WorkloadEntries by namespace.
    pub(crate) workloads: HashMap<&'a str, Vec<&'a Outside>>,
    /// What checks the workloads of each group.
    pub(crate) groups: &'a Kept<WorkloadGroup>,
    pub(crate) policies: &'a Policies<'a>,
    pub(crate) previous: &'a Externals,
    pub(crate) secrets: &'a Secrets,
    pub(crate) domain: &'a str,
}

impl Externals {
    /// Compiles entries, oldest first.
    pub(crate) fn compile(
        entries: &[Arc<ServiceEntry>],
        sources: &Sources<'_>,
        found: &mut Vec<Finding>,
    ) -> Self {
        let mut by_host: HashMap<HostPattern, Vec<Arc<Service>>> = HashMap::new();
        let mut this = Self::default();
        for entry in entries {
            let findings = entry.about.findings();
            for (index, host) in entry.hosts.iter().enumerate() {
                let Some(pattern) = HostPattern::parse(host).filter(|p| *p != HostPattern::Any)
                else {
                    let field = format!("spec.hosts[{index}]");
                    findings.add(
                        FindingKind::Invalid,
                        field,
                        "must be a DNS name or *.suffix; it is ignored",
                    );
                    continue;
                };
                let service = sources.service(entry, host);
                let name = meaning(host, sources.domain);
                let of_name = this.by_name.entry(name).or_default();
                of_name.push(Arc::clone(&service));
                let ranges = entry.ranges.iter().filter(|_| index == 0);
                this.by_range
                    .extend(ranges.map(|range| (*range, Arc::clone(&service))));
                by_host.entry(pattern).or_default().push(service);
            }
            found.extend(findings.into_vec());
        }
        for (pattern, externals) in by_host {
            this.by_host.insert(pattern, externals);
        }
        this
    }

    /// What a host means to a caller in a namespace.
    pub(crate) fn find(&self, host: &str, namespace: Option<&str>) -> Option<&Arc<Service>> {
        let named = self.by_host.candidates(host);
        let named = named.filter_map(|all| seen(all.iter(), namespace)).next();
        named.or_else(|| {
            let address: IpAddr = host.parse().ok()?;
            let holding = self
                .by_range
                .iter()
                .filter(|(range, _)| range.contains(&address));
            seen(holding.map(|(_, service)| service), namespace)
        })
    }

    /// What a host in a manifest stands for to callers of a namespace; if it stands for nothing that they see, what they do not see.
    pub(crate) fn named(
        &self,
        name: &ServiceName,
        namespace: Option<&str>,
    ) -> Option<&Arc<Service>> {
        let all = self.by_name.get(name)?;
        let found = match namespace {
            Some(_) => seen(all.iter(), namespace),
            None => all.iter().find(|service| service.export.is_everywhere()),
        };
        found.or(all.first())
    }

    /// The same service before: its connections and counters go on.
    fn before(&self, names: &ServiceName, namespace: &str) -> Option<&Arc<Service>> {
        let mut all = self.by_name.get(names)?.iter();
        all.find(|service| *service.names.namespace == *namespace)
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.by_name.values().flatten()
    }
}

fn seen<'a>(
    all: impl Iterator<Item = &'a Arc<Service>> + Clone,
    namespace: Option<&str>,
) -> Option<&'a Arc<Service>> {
    let sees = |service: &&Arc<Service>| namespace.is_none_or(|name| service.export.reaches(name));
    let mut visible = all.filter(sees);
    let own = visible.clone();
    let own = own
        .into_iter()
        .find(|service| Some(&*service.names.namespace) == namespace);
    own.or_else(|| visible.next())
}

/// The name under which manifests find a host.
fn meaning(host: &str, domain: &str) -> ServiceName {
    match names::service_of(host, None, domain) {
        Some((name, namespace)) => ServiceName::Mesh {
            namespace: namespace.into(),
            name: name.into(),
        },
        None => ServiceName::Other(host.into()),
    }
}

impl Sources<'_> {
    fn service(&self, entry: &ServiceEntry, host: &Arc<str>) -> Arc<Service> {
        let name = meaning(host, self.domain);
        let previous = self.previous.before(&name, &entry.about.namespace);
        let names = match previous {
            Some(previous) => Arc::clone(&previous.names),
            None => Arc::new(names_of(&entry.about.namespace, host)),
        };
        let own = &entry.about.namespace;
        let called = policies::named(&name).unwrap_or_default();
        let clusters = Clusters {
            names: &names,
            policies: &self.policies.of(called, own, || host.to_string()),
            previous,
            server_names: &entry.names,
            secrets: self.secrets,
            by_address: false,
            tls: &[],
        };
        let ports = entry.ports.iter();
        let ports = ports.map(|port| {
            let serving = self.serving(entry, port, host);
            clusters.port(port.port.clone(), serving.into_iter())
        });
        let given = entry.ranges.iter();
        let given = given.filter(|range| range.prefix_len() == range.max_prefix_len());
        let service = Service {
            address: None,
            given: given.map(IpNet::addr).collect(),
            ports: ports.collect(),
            datagrams: Vec::new(),
            default_route: kubernetes::route_to(name, previous),
            names: Arc::clone(&names),
            outside: true,
            hold: None,
            export: entry.export.clone(),
        };
        kubernetes::share(service, previous)
    }

    /// The check of the group that a WorkloadEntry belongs to.
    fn check(&self, outside: &Outside) -> Option<Arc<Check>> {
        let group = outside.group.as_deref()?;
        self.groups.get(group)?.value.check.clone()
    }

    fn serving(&self, entry: &ServiceEntry, port: &EntryPort, host: &Arc<str>) -> Vec<Serves> {
        if let Some(selector) = &entry.selector {
            let all = self.workloads.get(&*entry.about.namespace);
            let chosen = all
                .into_iter()
                .flatten()
                .filter(|outside| carries(&outside.workload, selector));
            return chosen
                .map(|outside| Serves {
                    check: self.check(outside),
                    ..outside.serves(port, host)
                })
                .collect();
        }
        if !entry.endpoints.is_empty() {
            let all = entry.endpoints.iter();
            return all.map(|outside| outside.serves(port, host)).collect();
        }
        let place = match entry.resolution {
            Resolution::Static => return Vec::new(),
            Resolution::Dns => Place::Name(Arc::clone(host)),
            Resolution::Asked => Place::Asked,
        };
        let workload = Workload::outside((&entry.about.namespace, host), BTreeMap::new());
        let serves = Serves {
            workload: Arc::new(workload),
            place,
            port: port.target.unwrap_or(port.port.number),
            weight: 1,
            check: None,
        };
        vec![serves]
    }
}

fn carries(workload: &Workload, labels: &[(String, String)]) -> bool {
    let mut all = labels.iter();
    all.all(|(key, value)| workload.labels.get(key) == Some(value))
}

fn names_of(namespace: &str, host: &Arc<str>) -> ServiceRef {
    let mut hasher = DefaultHasher::new();
    ("ServiceEntry", namespace, host).hash(&mut hasher);
    ServiceRef {
        namespace: namespace.into(),
        name: Arc::clone(host),
        host: Arc::clone(host),
        fingerprint: hasher.finish(),
    }
}
