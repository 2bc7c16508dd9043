//! Which hosts a pod calls by its own wish: the scopes that Sidecars give to pods, to namespaces and to the mesh.
//!
//! A pod has the scope of the Sidecar of its namespace that selects it, else of the one that selects nobody in particular, else of
//! the root namespace's; without any it calls whatever is exported to it
//! (<https://istio.io/latest/docs/reference/config/networking/sidecar/>).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::table::About;
use osier_routing::hosts::{HostIndex, HostPattern};
use osier_routing::workload::Workload;
use osier_standing::{Finding, FindingKind};

/// Hosts by port; those without one are for every port that stands nowhere else.
pub(crate) type Ports = HashMap<Option<u16>, Hosts>;

/// What one Sidecar lets its pods call.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// `namespace/name` of the Sidecar.
    pub(crate) name: Arc<str>,
    /// The hosts; `None` is all.
    pub(crate) ports: Option<Ports>,
}

impl Scope {
    /// Whether something of a namespace, called by any of these names, may be called on a port.
    pub(crate) fn holds(&self, port: u16, (namespace, names): (&str, [&str; 2])) -> bool {
        let Some(ports) = &self.ports else {
            return true;
        };
        let hosts = ports.get(&Some(port)).or_else(|| ports.get(&None));
        hosts.is_some_and(|hosts| names.iter().any(|name| hosts.hold(namespace, name)))
    }

    /// Whether something of a namespace, called by any of these names, may be called on some port.
    pub(crate) fn knows(&self, (namespace, names): (&str, [&str; 2])) -> bool {
        let Some(ports) = &self.ports else {
            return true;
        };
        let mut all = ports.values();
        all.any(|hosts| names.iter().any(|name| hosts.hold(namespace, name)))
    }
}

/// What one Sidecar says.
#[derive(Debug)]
pub(crate) struct Sidecar {
    pub(crate) about: About,
    /// Labels of the pods that it is for; none is all of the namespace.
    pub(crate) selector: Vec<(String, String)>,
    pub(crate) scope: Arc<Scope>,
    pub(crate) findings: Vec<Finding>,
}

impl Sidecar {
    fn selects(&self, pod: &Workload) -> bool {
        let mut all = self.selector.iter();
        all.all(|(key, value)| pod.labels.get(key) == Some(value))
    }

    /// Said when an older one decides.
    fn beaten(&self, older: &str, whose: &str) -> Finding {
        Finding {
            resource: self.about.resource,
            namespace: self.about.namespace.clone(),
            name: self.about.name.clone(),
            field: "spec.workloadSelector".into(),
            kind: FindingKind::Conflict,
            detail: format!("Sidecar {older} is older and decides for {whose}"),
        }
    }
}

/// Hosts by the namespace of what they mean.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    by_namespace: HashMap<Box<str>, HostIndex<()>>,
    of_any: HostIndex<()>,
}

impl Hosts {
    /// Adds hosts of a namespace; without one, of any.
    pub(crate) fn add(&mut self, namespace: Option<&str>, pattern: HostPattern) {
        let index = match namespace {
            Some(name) => self.by_namespace.entry(name.into()).or_default(),
            None => &mut self.of_any,
        };
        index.insert(pattern, ());
    }

    fn hold(&self, namespace: &str, host: &str) -> bool {
        let own = self.by_namespace.get(namespace);
        self.of_any.find(host).is_some() || own.is_some_and(|own| own.find(host).is_some())
    }
}

/// The scope of every pod that has one.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    by_pod: HashMap<Arc<str>, Arc<Scope>>,
    by_namespace: HashMap<Arc<str>, Arc<Scope>>,
    mesh: Option<Arc<Scope>>,
}

impl Scopes {
    /// Decides for these pods, with the Sidecars oldest first. Of two for the same pods the older one counts.
    pub(crate) fn new<'a>(
        sidecars: &[Arc<Sidecar>],
        pods: impl Iterator<Item = &'a Arc<Workload>>,
        root: &str,
        found: &mut Vec<Finding>,
    ) -> Self {
        let (selecting, of_all): (Vec<_>, Vec<_>) =
            sidecars.iter().partition(|it| !it.selector.is_empty());
        let mut this = Self::default();
        for sidecar in of_all {
            let namespace = sidecar.about.namespace.as_str();
            if let Some(older) = this.by_namespace.get(namespace) {
                found.push(sidecar.beaten(&older.name, "the namespace"));
                continue;
            }
            let scope = Arc::clone(&sidecar.scope);
            this.by_namespace.insert(namespace.into(), scope);
        }
        this.mesh = this.by_namespace.get(root).cloned();
        this.by_pod = selected(&selecting, pods, found);
        this
    }

    /// The scope of a pod, if it has one.
    pub(crate) fn of(&self, pod: &Workload) -> Option<&Scope> {
        let own = self.by_pod.get(&pod.uid);
        let own = own.or_else(|| self.by_namespace.get(&pod.namespace));
        own.or(self.mesh.as_ref()).map(|scope| &**scope)
    }

    /// The scope of everyone who has no other.
    pub(crate) fn of_mesh(&self) -> Option<&Scope> {
        self.mesh.as_deref()
    }

    /// Whether there is any.
    pub(crate) fn are_there(&self) -> bool {
        !self.by_pod.is_empty() || !self.by_namespace.is_empty()
    }
}

/// The scopes of pods that are chosen by their labels.
fn selected<'a>(
    sidecars: &[&Arc<Sidecar>],
    pods: impl Iterator<Item = &'a Arc<Workload>>,
    found: &mut Vec<Finding>,
) -> HashMap<Arc<str>, Arc<Scope>> {
    let mut by_namespace: HashMap<&str, Vec<&Sidecar>> = HashMap::new();
    for sidecar in sidecars {
        let of_namespace = by_namespace.entry(&sidecar.about.namespace).or_default();
        of_namespace.push(sidecar);
    }
    let (mut by_pod, mut told) = (HashMap::new(), HashSet::new());
    for pod in pods {
        let all = by_namespace.get(&*pod.namespace).into_iter().flatten();
        let mut chosen = all.filter(|sidecar| sidecar.selects(pod));
        let Some(first) = chosen.next() else {
            continue;
        };
        by_pod.insert(Arc::clone(&pod.uid), Arc::clone(&first.scope));
        let others =
            chosen.filter(|other| told.insert((&other.about.namespace, &other.about.name)));
        found.extend(others.map(|it| it.beaten(&first.scope.name, &format!("pod {}", pod.name))));
    }
    by_pod
}
