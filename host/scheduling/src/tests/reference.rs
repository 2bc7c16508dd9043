//! The rules of placing as they are written down, counted pod by pod without any index.

use osier_api::Object;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::Demand;
use crate::node_affinity::{self, Site};
use crate::taints::{self, Taint};

/// Everything that there is.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) nodes: Vec<Object>,
    pub(super) pods: Vec<Object>,
}

fn spec(pod: &Object) -> &Value {
    pod.get(&["spec"]).unwrap()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn selected(selector: &Value, pod: &Object) -> bool {
    let labels = selector["matchLabels"].as_object();
    let mut labels = labels.into_iter().flatten();
    selector.is_object() && labels.all(|(key, value)| pod.label(key) == value.as_str())
}

/// `term`, written by `owner`, means `pod`.
fn means(term: &Value, owner: &Object, pod: &Object) -> bool {
    // The one selector of namespaces in use means the one that is labelled.
    let namespace = if term["namespaceSelector"].is_object() {
        pod.namespace() == "bank"
    } else {
        pod.namespace() == owner.namespace()
    };
    namespace && selected(&term["labelSelector"], pod)
}

fn terms(pod: &Object, side: &str) -> Vec<Value> {
    list(&spec(pod)["affinity"][side]["requiredDuringSchedulingIgnoredDuringExecution"])
}

fn key(term: &Value) -> &str {
    term["topologyKey"].as_str().unwrap()
}

fn site<T>(node: &Object, with: impl FnOnce(Site<'_>) -> T) -> T {
    let labels = node.labels().into_iter();
    let labels: BTreeMap<String, String> = labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    with(Site {
        name: node.name(),
        labels: &labels,
    })
}

impl Cluster {
    pub(super) fn place(&mut self, pod: &Object, node: &str) {
        let mut pod = pod.clone();
        pod.set(&["spec", "nodeName"], node.into());
        self.pods.push(pod);
    }

    fn node(&self, pod: &Object) -> &Object {
        let name = pod.text(&["spec", "nodeName"]);
        self.nodes.iter().find(|node| node.name() == name).unwrap()
    }

    /// The pod stands where the label has the same value as on the node.
    fn near(&self, pod: &Object, node: &Object, key: &str) -> bool {
        let there = self.node(pod).label(key);
        there.is_some() && there == node.label(key)
    }

    pub(super) fn admits(&self, pod: &Object, node: &Object) -> bool {
        let tolerations = taints::tolerations(spec(pod));
        let mut taints = Taint::all(node).into_iter();
        taints.all(|taint| taints::tolerated(tolerations, &taint))
            && site(node, |site| node_affinity::admits(spec(pod), site))
            && self.has_room(pod, node)
            && self.spreads(pod, node)
            && self.attracted(pod, node)
            && self.repelled(pod, node)
    }

    fn has_room(&self, pod: &Object, node: &Object) -> bool {
        let there = self.pods.iter();
        let there = there.filter(|one| one.text(&["spec", "nodeName"]) == node.name());
        let taken = there
            .map(Demand::of)
            .fold(Demand::default(), |sum, one| sum.plus(&one));
        let wanted = Demand::of(pod).cpu;
        taken.pods < 10 && (wanted == 0 || taken.cpu + wanted <= 4000)
    }

    fn attracted(&self, pod: &Object, node: &Object) -> bool {
        let terms = terms(pod, "podAffinity");
        let all = |other: &&Object| terms.iter().all(|term| means(term, pod, other));
        let meant: Vec<&Object> = self.pods.iter().filter(all).collect();
        terms.iter().all(|term| {
            let labelled = node.label(key(term)).is_some();
            let mut near = meant.iter();
            let near = near.any(|other| self.near(other, node, key(term)));
            labelled && (near || (meant.is_empty() && all(&pod)))
        })
    }

    fn repelled(&self, pod: &Object, node: &Object) -> bool {
        let mut others = self.pods.iter();
        others.all(|other| {
            let mut pair = [(pod, other), (other, pod)].into_iter();
            pair.all(|(owner, meant)| {
                let terms = terms(owner, "podAntiAffinity");
                let mut terms = terms.iter().filter(|term| means(term, owner, meant));
                terms.all(|term| !self.near(other, node, key(term)))
            })
        })
    }

    fn spreads(&self, pod: &Object, node: &Object) -> bool {
        let constraints = list(&spec(pod)["topologySpreadConstraints"]);
        constraints.iter().all(|constraint| {
            let Some(own) = node.label(key(constraint)) else {
                return false;
            };
            let mut domains = BTreeMap::<&str, u64>::new();
            for node in &self.nodes {
                let counts = site(node, |site| node_affinity::admits(spec(pod), site));
                if let Some(domain) = node.label(key(constraint)).filter(|_| counts) {
                    let there = self.pods.iter().filter(|other| {
                        other.text(&["spec", "nodeName"]) == node.name()
                            && other.namespace() == pod.namespace()
                            && selected(&constraint["labelSelector"], other)
                    });
                    *domains.entry(domain).or_default() += there.count() as u64;
                }
            }
            let few = (domains.len() as u64) < constraint["minDomains"].as_u64().unwrap();
            let least = if few {
                0
            } else {
                *domains.values().min().unwrap_or(&0)
            };
            let own = domains.get(own).copied().unwrap_or(0);
            let with = own + u64::from(selected(&constraint["labelSelector"], pod));
            with <= least + constraint["maxSkew"].as_u64().unwrap()
        })
    }
}
