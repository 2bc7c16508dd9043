//! Services that are not in the cluster: what ServiceEntries grant, by host and address, and to whom.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use osier_balancing::Check;

use crate::clusters::Clusters;
use crate::endpoint::Place;
use crate::export::Export;
use crate::finding::{Finding, FindingKind};
use crate::hosts::{HostIndex, HostPattern};
use crate::istio::destination_rule::DestinationPolicy;
use crate::istio::service_entry::{EntryPort, Outside, Resolution, ServiceEntry};
use crate::istio::workload_group::WorkloadGroup;
use crate::kubernetes;
use crate::memory::Kept;
use crate::names;
use crate::route::ServiceName;
use crate::secret::Secrets;
use crate::serves::Serves;
use crate::service::{Service, ServiceRef};
use crate::workload::Workload;

/// A service with who sees it.
#[derive(Clone, Debug)]
struct External {
    service: Arc<Service>,
    export: Export,
}

/// Services outside. Of several for one host, a caller gets its own namespace's, else the oldest that it sees.
#[derive(Debug, Default)]
pub(crate) struct Externals {
    by_host: HostIndex<Vec<External>>,
    by_name: HashMap<ServiceName, Vec<External>>,
    by_range: Vec<(IpNet, External)>,
}

/// What the services are made of besides their entries.
pub(crate) struct Sources<'a> {
    /// WorkloadEntries by namespace.
    pub(crate) workloads: HashMap<&'a str, Vec<&'a Outside>>,
    /// What checks the workloads of each group.
    pub(crate) groups: &'a Kept<WorkloadGroup>,
    /// DestinationRules by whom they speak of, oldest first.
    pub(crate) policies: HashMap<&'a ServiceName, Vec<Arc<DestinationPolicy>>>,
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
        let mut by_host: HashMap<HostPattern, Vec<External>> = HashMap::new();
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
                let external = External {
                    service: sources.service(entry, host),
                    export: entry.export.clone(),
                };
                let name = meaning(host, sources.domain);
                this.by_name.entry(name).or_default().push(external.clone());
                let ranges = entry.ranges.iter().filter(|_| index == 0);
                this.by_range
                    .extend(ranges.map(|range| (*range, external.clone())));
                by_host.entry(pattern).or_default().push(external);
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
            seen(holding.map(|(_, external)| external), namespace)
        })
    }

    /// What a host in a manifest stands for.
    pub(crate) fn named(&self, name: &ServiceName) -> Option<&Arc<Service>> {
        let all = self.by_name.get(name)?;
        let everywhere = all
            .iter()
            .find(|external| external.export == Export::Everywhere);
        Some(&everywhere.or(all.first())?.service)
    }

    /// The same service before: its connections and counters go on.
    fn before(&self, names: &ServiceName, namespace: &str) -> Option<&Arc<Service>> {
        let all = self.by_name.get(names)?.iter();
        let mut own = all.filter(|external| *external.service.names.namespace == *namespace);
        Some(&own.next()?.service)
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.by_name
            .values()
            .flatten()
            .map(|external| &external.service)
    }
}

fn seen<'a>(
    all: impl Iterator<Item = &'a External> + Clone,
    namespace: Option<&str>,
) -> Option<&'a Arc<Service>> {
    let sees = |external: &&External| namespace.is_none_or(|name| external.export.reaches(name));
    let mut visible = all.filter(sees);
    let own = visible.clone();
    let own = own
        .into_iter()
        .find(|external| Some(&*external.service.names.namespace) == namespace);
    own.or_else(|| visible.next())
        .map(|external| &external.service)
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
        let clusters = Clusters {
            names: &names,
            policies: self.policies.get(&name).map_or(&[], Vec::as_slice),
            previous,
            export: &entry.export,
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
        let service = Service {
            address: None,
            ports: ports.collect(),
            default_route: kubernetes::route_to(name, previous),
            names: Arc::clone(&names),
            outside: true,
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
