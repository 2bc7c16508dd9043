//! Services, their ports, and the clusters (endpoint sets) that a destination resolves to.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use osier_balancing::{Balancing, Ejections, HashTable, Health, Load, Upstream};

use crate::endpoint::{Endpoint, Place};
use crate::export::Export;
use crate::route::Route;
use crate::workload::Workload;

/// A service's virtual address.
pub type ClusterIp = IpAddr;

/// The names of a service, for policies, metrics and logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceRef {
    /// The service's namespace.
    pub namespace: Arc<str>,
    /// The service's name.
    pub name: Arc<str>,
    /// Its full name, `name.namespace.svc.cluster.local`.
    pub host: Arc<str>,
    /// Equal for equal names: a cheap key.
    pub fingerprint: u64,
}

/// A service: names, address, ports.
#[derive(Debug)]
pub struct Service {
    /// Its names.
    pub names: Arc<ServiceRef>,
    /// A host outside, which a ServiceEntry grants.
    pub outside: bool,
    /// Its virtual address; `None` for a headless service.
    pub address: Option<ClusterIp>,
    /// Addresses that a ServiceEntry gives to a host outside.
    pub given: Box<[IpAddr]>,
    /// Its ports, in the object's order.
    pub ports: Vec<ServicePort>,
    /// Its ports for datagrams (UDP), which carry no requests and no connections.
    pub datagrams: Vec<ServicePort>,
    /// How long calls wait for a pod when there is none, if they do.
    pub hold: Option<Duration>,
    /// Which namespaces may call it.
    pub export: Export,
    /// Where a request goes when no route object speaks of this service: to itself.
    pub default_route: Arc<Route>,
}

impl Service {
    /// The port that callers call by this number.
    pub fn port(&self, port: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|p| p.port == port)
    }

    /// The port that a destination means: the one that it names, the only one, or the one that the caller used.
    pub fn port_for(&self, wanted: Option<u16>, used: u16) -> Option<&ServicePort> {
        match (wanted, self.ports.as_slice()) {
            (Some(port), _) => self.port(port),
            (None, [only]) => Some(only),
            (None, _) => self.port(used),
        }
    }
}

/// One port of a service.
#[derive(Debug)]
pub struct ServicePort {
    /// The port's name, empty if the only one has none.
    pub name: Arc<str>,
    /// The port that callers use.
    pub port: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Every ready endpoint.
    pub cluster: Arc<Cluster>,
    /// The endpoints by subset name.
    pub subsets: HashMap<Arc<str>, Arc<Cluster>>,
    /// What it is to callers of namespaces for which other DestinationRules hold.
    pub views: HashMap<Arc<str>, Arc<View>>,
    /// What it is to workloads that DestinationRules choose by their labels, the first that does.
    pub chosen: Vec<Chosen>,
}

/// Who calls, where exports and DestinationRules decide.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The namespace whose view counts.
    pub namespace: &'a str,
    /// The labels of the calling workload; none behind a gateway.
    pub labels: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Caller<'a> {
    /// Somebody in a namespace, whoever.
    pub fn of(namespace: &'a str) -> Self {
        Self {
            namespace,
            labels: None,
        }
    }
}

/// A port as the workloads with some labels see it.
#[derive(Debug)]
pub struct Chosen {
    /// Their namespace.
    pub namespace: Arc<str>,
    /// Labels that they all have.
    pub labels: Vec<(String, String)>,
    /// What they see.
    pub view: Arc<View>,
}

impl Chosen {
    fn is_for(&self, caller: &Caller<'_>) -> bool {
        let has = |labels: &BTreeMap<String, String>| {
            let mut wanted = self.labels.iter();
            wanted.all(|(key, value)| labels.get(key) == Some(value))
        };
        *self.namespace == *caller.namespace && caller.labels.is_some_and(has)
    }

    fn same(&self, other: &Self) -> bool {
        self.namespace == other.namespace
            && self.labels == other.labels
            && self.view.same(&other.view)
    }
}

/// A port as some callers see it.
#[derive(Debug)]
pub struct View {
    /// Every ready endpoint.
    pub cluster: Arc<Cluster>,
    /// The endpoints by subset name.
    pub subsets: HashMap<Arc<str>, Arc<Cluster>>,
}

impl View {
    /// The endpoints of a subset, or all.
    pub fn cluster(&self, subset: Option<&str>) -> Option<&Arc<Cluster>> {
        match subset {
            None => Some(&self.cluster),
            Some(name) => self.subsets.get(name),
        }
    }

    /// Every cluster.
    pub fn clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        std::iter::once(&self.cluster).chain(self.subsets.values())
    }

    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cluster, &other.cluster) && same_subsets(&self.subsets, &other.subsets)
    }
}

impl ServicePort {
    /// The endpoints of a subset, or all, as a caller sees them.
    pub fn seen_by(&self, caller: &Caller<'_>, subset: Option<&str>) -> Option<&Arc<Cluster>> {
        let chosen = self.chosen.iter().find(|chosen| chosen.is_for(caller));
        let view = chosen.map(|chosen| &chosen.view);
        match view.or_else(|| self.views.get(caller.namespace)) {
            Some(view) => view.cluster(subset),
            None => self.seen_by_others(subset),
        }
    }

    /// The same, as callers see them for whom no rule of their own holds.
    pub fn seen_by_others(&self, subset: Option<&str>) -> Option<&Arc<Cluster>> {
        match subset {
            None => Some(&self.cluster),
            Some(name) => self.subsets.get(name),
        }
    }

    /// Every cluster, whoever sees it.
    pub fn clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        let chosen = self.chosen.iter().map(|chosen| &chosen.view);
        let views = self.views.values().chain(chosen);
        let views = views.flat_map(|view| view.clusters());
        let own = std::iter::once(&self.cluster).chain(self.subsets.values());
        own.chain(views)
    }

    /// Whether nothing changed.
    pub fn same(&self, other: &Self) -> bool {
        let view = |(name, view): (&Arc<str>, &Arc<View>)| {
            let other = other.views.get(name);
            other.is_some_and(|other| view.same(other))
        };
        self.name == other.name
            && self.port == other.port
            && self.protocol == other.protocol
            && Arc::ptr_eq(&self.cluster, &other.cluster)
            && same_subsets(&self.subsets, &other.subsets)
            && self.views.len() == other.views.len()
            && self.views.iter().all(view)
            && self.chosen.len() == other.chosen.len()
            && self
                .chosen
                .iter()
                .zip(&other.chosen)
                .all(|(a, b)| a.same(b))
    }
}

fn same_subsets(a: &HashMap<Arc<str>, Arc<Cluster>>, b: &HashMap<Arc<str>, Arc<Cluster>>) -> bool {
    let same = |(name, cluster): (&Arc<str>, &Arc<Cluster>)| {
        b.get(name).is_some_and(|other| Arc::ptr_eq(cluster, other))
    };
    a.len() == b.len() && a.iter().all(same)
}

/// The application protocol of a port, from `appProtocol` or the port name's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP of either version; also every port that does not say otherwise.
    Http,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// gRPC, which is HTTP/2 with trailers.
    Grpc,
    /// Anything else.
    Tcp,
}

/// A set of endpoints that a request may be balanced over.
#[derive(Debug)]
pub struct Cluster {
    /// `outbound|9080|v1|reviews.default.svc.cluster.local`.
    pub name: Arc<str>,
    /// The service whose endpoints these are.
    pub service: Arc<ServiceRef>,
    /// Ready endpoints.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// What is known of each of them, at the same position.
    pub health: Vec<Arc<Health>>,
    /// All have the same weight.
    pub even: bool,
    /// Some are checked, and may be unsound.
    pub checked: bool,
    /// How to choose among them.
    pub balancing: Arc<Balancing>,
    /// Where hashes lead, if they decide.
    pub table: Option<Arc<HashTable>>,
    /// How they are spoken to.
    pub upstream: Arc<Upstream>,
    /// What it carries now.
    pub load: Arc<Load>,
    /// Which endpoints were left out.
    pub ejections: Arc<Ejections>,
    turn: AtomicUsize,
}

/// How a cluster is called.
pub type Manner = (Arc<Balancing>, Arc<Upstream>);

impl Cluster {
    /// A cluster of which nothing is known yet; [`Cluster::finish`] makes it whole.
    pub fn new(
        name: Arc<str>,
        service: Arc<ServiceRef>,
        endpoints: Vec<Arc<Endpoint>>,
        (balancing, upstream): Manner,
    ) -> Self {
        Self {
            name,
            service,
            health: Vec::new(),
            even: endpoints
                .windows(2)
                .all(|pair| matches!(pair, [a, b] if a.weight == b.weight)),
            checked: endpoints.iter().any(|endpoint| endpoint.check.is_some()),
            endpoints,
            balancing,
            table: None,
            upstream,
            load: Arc::default(),
            ejections: Arc::default(),
            turn: AtomicUsize::new(0),
        }
    }

    /// A pod's port that is called through no service.
    pub fn of_pod(workload: &Arc<Workload>, port: u16) -> (Arc<Self>, Arc<Endpoint>) {
        let service = ServiceRef {
            namespace: Arc::clone(&workload.namespace),
            name: Arc::clone(&workload.name),
            host: format!("{}.{}.pod", workload.name, workload.namespace).into(),
            fingerprint: workload.fingerprint,
        };
        let name = format!("inbound|{port}||{}", service.host);
        let endpoint = Arc::new(Endpoint::new(Arc::clone(workload), port));
        let mut cluster = Self::new(
            name.into(),
            Arc::new(service),
            vec![Arc::clone(&endpoint)],
            Manner::default(),
        );
        cluster.finish(None);
        (Arc::new(cluster), endpoint)
    }

    /// A port of an address on which a workload listens, called through no service.
    pub fn of_address(
        workload: &Arc<Workload>,
        (address, port): (IpAddr, u16),
        upstream: Upstream,
    ) -> (Arc<Self>, Arc<Endpoint>) {
        let service = ServiceRef {
            namespace: Arc::clone(&workload.namespace),
            name: Arc::clone(&workload.name),
            host: address.to_string().into(),
            fingerprint: workload.fingerprint,
        };
        let place = (Place::Address(address), port);
        let endpoint = Endpoint::at(place, Arc::clone(workload), (1, None));
        let endpoint = Arc::new(endpoint);
        let mut cluster = Self::new(
            format!("inbound|{port}||{address}").into(),
            Arc::new(service),
            vec![Arc::clone(&endpoint)],
            (Arc::default(), Arc::new(upstream)),
        );
        cluster.finish(None);
        (Arc::new(cluster), endpoint)
    }

    /// The next turn of the round-robin.
    pub fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Continues where `previous` stood, so that recompiling does not restart the round, or forget the load and who failed.
    pub fn finish(&mut self, previous: Option<&Cluster>) {
        if let Some(previous) = previous {
            self.turn = AtomicUsize::new(previous.turn.load(Ordering::Relaxed));
            self.load = Arc::clone(&previous.load);
            self.ejections = Arc::clone(&previous.ejections);
        }
        self.health = self.known(previous, Arc::clone);
        self.table = self.table(previous);
    }

    /// Begins with what `before` knew of who failed, and learns by itself from now on.
    pub fn learn_apart(&mut self, before: &Cluster) {
        self.ejections = Arc::new(before.ejections.fork());
        self.health = self.known(Some(before), |health| Arc::new(health.fork()));
    }

    /// Learns who fails together with `other`, which judges the same endpoints by the same policy.
    pub fn learn_with(&mut self, other: &Cluster) {
        self.ejections = Arc::clone(&other.ejections);
        self.health = other.health.clone();
    }

    /// What was known of each endpoint.
    fn known(
        &self,
        previous: Option<&Cluster>,
        keep: impl Fn(&Arc<Health>) -> Arc<Health>,
    ) -> Vec<Arc<Health>> {
        let before = previous.map_or(&[][..], |previous| &previous.endpoints);
        let health = previous.into_iter().flat_map(|previous| &previous.health);
        let known = before.iter().map(Arc::as_ptr).zip(health);
        let known: HashMap<*const Endpoint, &Arc<Health>> = known.collect();
        let health = |endpoint| known.get(&Arc::as_ptr(endpoint)).map(|health| keep(health));
        let all = self.endpoints.iter();
        all.map(|e| health(e).unwrap_or_default()).collect()
    }

    fn table(&self, previous: Option<&Cluster>) -> Option<Arc<HashTable>> {
        let method = self.balancing.hash.as_ref()?.method;
        let seats = |cluster: &Self| cluster.endpoints.iter().map(|e| e.seat()).collect();
        let own: Vec<_> = seats(self);
        let same = |previous: &&Cluster| {
            let hash = previous.balancing.hash.as_ref();
            hash.is_some_and(|hash| hash.method == method) && seats(previous) == own
        };
        let kept = previous.filter(same).and_then(|same| same.table.clone());
        Some(kept.unwrap_or_else(|| Arc::new(HashTable::build(method, &own))))
    }

    /// Whether nothing changed but the load.
    pub fn same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.balancing == other.balancing
            && self.upstream == other.upstream
            && self.has_the_endpoints_of(other)
    }

    /// Whether both have the same endpoints, in the same order.
    pub fn has_the_endpoints_of(&self, other: &Self) -> bool {
        let pair = |(a, b): (&Arc<Endpoint>, &Arc<Endpoint>)| Arc::ptr_eq(a, b);
        self.endpoints.len() == other.endpoints.len()
            && self.endpoints.iter().zip(&other.endpoints).all(pair)
    }
}
