//! A workload: the identity of one running pod, as source and as destination of calls.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use osier_api::Object;
use osier_balancing::Locality;

/// One pod, as the mesh sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The pod's namespace.
    pub namespace: Arc<str>,
    /// The pod's name.
    pub name: Arc<str>,
    /// What owns the pod (its replication controller), or the pod's own name.
    pub workload: Arc<str>,
    /// The kind of that owner, as paths of the API name it: `apps/v1/deployments`; `v1/pods` for a pod that nothing owns, empty for what is no pod.
    pub controller: Cow<'static, str>,
    /// The pod's containers.
    pub containers: Box<[Container]>,
    /// The pod's service account, `default` if it names none.
    pub service_account: Arc<str>,
    /// `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
    pub principal: Arc<str>,
    /// Label `app`, or `app.kubernetes.io/name`; empty if neither is set.
    pub app: Arc<str>,
    /// Label `version`, or `app.kubernetes.io/version`; empty if neither is set.
    pub version: Arc<str>,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
    /// Where it stands.
    pub locality: Locality,
    /// The node it is bound to, empty before it is.
    pub node: Arc<str>,
    /// The pod's address; unspecified (`0.0.0.0`) before it has one.
    pub address: IpAddr,
    /// The pod's uid.
    pub uid: Arc<str>,
    /// A number that is equal for workloads which telemetry does not tell apart (same namespace, owner, principal, app and
    /// version), so that metric series can be cached by a cheap key.
    pub fingerprint: u64,
}

/// One container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name in the pod.
    pub name: Arc<str>,
    /// Its image, as the pod names it.
    pub image: Arc<str>,
    ports: Box<[u16]>,
}

impl Workload {
    /// False for what runs outside of the cluster's nodes.
    pub fn is_pod(&self) -> bool {
        !self.controller.is_empty()
    }

    /// The container that serves a port: the one that names it, or the only one there is.
    pub fn container(&self, port: u16) -> Option<&Container> {
        let named = self.containers.iter().find(|one| one.ports.contains(&port));
        match &*self.containers {
            [only] => Some(only),
            _ => named,
        }
    }

    /// Reads a pod.
    pub fn from_pod(pod: &Object, trust_domain: &str) -> Self {
        let text = |path: &[&str]| pod.get(path).and_then(|v| v.as_str()).unwrap_or_default();
        let account = Some(text(&["spec", "serviceAccountName"])).filter(|name| !name.is_empty());
        let account = account.unwrap_or("default");
        let namespace = pod.namespace();
        let (labels, owner) = (labels(pod), owner(pod));
        let address = text(&["status", "podIP"]).parse();
        let mut this = Self {
            namespace: namespace.into(),
            name: pod.name().into(),
            workload: owner.as_ref().map_or(pod.name(), |(name, _)| name).into(),
            controller: owner.map_or(Cow::Borrowed("v1/pods"), |(_, kind)| kind),
            containers: containers(pod),
            service_account: account.into(),
            principal: format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}").into(),
            app: either(&labels, "app", "app.kubernetes.io/name"),
            version: either(&labels, "version", "app.kubernetes.io/version"),
            locality: Locality::of(&labels),
            node: text(&["spec", "nodeName"]).into(),
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            uid: pod.uid().into(),
            fingerprint: 0,
            labels,
        };
        this.fingerprint = this.telemetry_fingerprint();
        this
    }

    /// What is known of a workload that is no pod: its name in a namespace. It has no identity of the mesh, hence no principal.
    pub fn outside((namespace, name): (&str, &str), labels: BTreeMap<String, String>) -> Self {
        let none: Arc<str> = Arc::from("");
        let mut this = Self {
            namespace: namespace.into(),
            name: name.into(),
            workload: name.into(),
            controller: Cow::Borrowed(""),
            containers: Box::default(),
            service_account: Arc::clone(&none),
            principal: Arc::clone(&none),
            app: either(&labels, "app", "app.kubernetes.io/name"),
            version: either(&labels, "version", "app.kubernetes.io/version"),
            locality: Locality::of(&labels),
            node: Arc::clone(&none),
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            uid: none,
            fingerprint: 0,
            labels,
        };
        this.fingerprint = this.telemetry_fingerprint();
        this
    }

    /// The same with an identity of the mesh, which a proxy beside it speaks for: `node` is what that is called.
    #[must_use]
    pub fn identified(
        mut self,
        trust_domain: &str,
        account: &str,
        (node, uid): (&str, &str),
    ) -> Self {
        let namespace = &self.namespace;
        self.principal = format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}").into();
        self.service_account = account.into();
        self.node = node.into();
        self.uid = uid.into();
        self.fingerprint = self.telemetry_fingerprint();
        self
    }

    fn telemetry_fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (
            &self.namespace,
            &self.workload,
            &self.principal,
            &self.app,
            &self.version,
        )
            .hash(&mut hasher);
        hasher.finish()
    }
}

/// Reads a pod into a shared workload; for a node that starts a pod before it stands in a snapshot.
pub fn workload(pod: &Object, trust_domain: &str) -> Arc<Workload> {
    Arc::new(Workload::from_pod(pod, trust_domain))
}

/// The labels of an object.
pub fn labels(pod: &Object) -> BTreeMap<String, String> {
    let map = pod.get(&["metadata", "labels"]).and_then(|v| v.as_object());
    let pairs = map.into_iter().flatten();
    pairs
        .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
        .collect()
}

fn either(labels: &BTreeMap<String, String>, first: &str, second: &str) -> Arc<str> {
    let value = labels.get(first).or_else(|| labels.get(second));
    value.map_or("", String::as_str).into()
}

fn containers(pod: &Object) -> Box<[Container]> {
    let all = pod
        .get(&["spec", "containers"])
        .and_then(|all| all.as_array());
    let all = all.into_iter().flatten();
    all.map(|container| {
        let ports = container["ports"].as_array().into_iter().flatten();
        Container {
            name: container["name"].as_str().unwrap_or_default().into(),
            image: container["image"].as_str().unwrap_or_default().into(),
            ports: ports
                .filter_map(|port| u16::try_from(port["containerPort"].as_u64()?).ok())
                .collect(),
        }
    })
    .collect()
}

/// The controller's name and kind; a Deployment's where a ReplicaSet of it owns the pod (Istio names workloads so).
fn owner(pod: &Object) -> Option<(&str, Cow<'static, str>)> {
    let owners = pod.get(&["metadata", "ownerReferences"])?.as_array()?;
    let controller = owners
        .iter()
        .find(|o| o.get("controller").and_then(|c| c.as_bool()) == Some(true))?;
    let name = controller.get("name")?.as_str()?;
    let hash = pod.text(&["metadata", "labels", "pod-template-hash"]);
    let deployment = name
        .strip_suffix(hash)
        .and_then(|rest| rest.strip_suffix('-'));
    if let Some(deployment) = deployment.filter(|_| !hash.is_empty()) {
        return Some((deployment, Cow::Borrowed("apps/v1/deployments")));
    }
    let word = |field: &str| controller.get(field).and_then(|word| word.as_str());
    let word = |field: &str| word(field).unwrap_or_default();
    Some((name, kind(word("apiVersion"), word("kind"))))
}

/// The path of a kind; those that own most pods take no memory.
fn kind(version: &str, kind: &str) -> Cow<'static, str> {
    match (version, kind) {
        ("apps/v1", "ReplicaSet") => Cow::Borrowed("apps/v1/replicasets"),
        ("apps/v1", "StatefulSet") => Cow::Borrowed("apps/v1/statefulsets"),
        ("apps/v1", "DaemonSet") => Cow::Borrowed("apps/v1/daemonsets"),
        ("batch/v1", "Job") => Cow::Borrowed("batch/v1/jobs"),
        _ => format!("{version}/{}s", kind.to_lowercase()).into(),
    }
}
