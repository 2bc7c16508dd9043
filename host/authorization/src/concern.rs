//! Whom an object of security concerns: everyone in its namespace, workloads by their labels, or what it names.

use osier_api::Object;

use crate::facts::Place;
use crate::fault::Fault;
use crate::field::Field;

/// Whom an object concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    namespace: Box<str>,
    scope: Scope,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    /// All of its namespace; of the root namespace, everyone.
    All,
    /// Workloads with these labels.
    Labels(Vec<(String, String)>),
    /// What these name.
    Targets(Vec<Target>),
}

/// What a `targetRef` names, in the object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// A Service.
    Service(Box<str>),
    /// A Gateway.
    Gateway(Box<str>),
    /// Every Gateway: the class that this node serves.
    Gateways,
}

/// Labels by which Istio's manifests choose its ingress gateway, which here is every node's own.
const INGRESS: [(&str, &str); 2] = [("istio", "ingressgateway"), ("app", "istio-ingressgateway")];

impl Concern {
    /// Reads `selector`, `targetRef` and `targetRefs`. Where one cannot be read, everyone of the namespace is concerned.
    pub fn read(object: &Object, faults: &mut Vec<Fault>) -> Self {
        Self {
            namespace: object.namespace().into(),
            scope: scope(&Field::spec(object), faults),
        }
    }

    /// Where the object is.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether a place is concerned, in a mesh with this root namespace.
    pub(crate) fn holds(&self, place: &Place<'_>, root: &str) -> bool {
        let everywhere = *self.namespace == *root;
        match (place, &self.scope) {
            (Place::Workload { namespace, .. }, _)
                if !everywhere && **namespace != *self.namespace =>
            {
                false
            }
            (Place::Workload { outside, .. }, Scope::All) => !outside,
            (Place::Workload { labels, .. }, Scope::Labels(wanted)) => wanted
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value)),
            (Place::Workload { service, .. }, Scope::Targets(targets)) => {
                let called = |target: &Target| match (target, service) {
                    (Target::Service(name), Some((of, called))) => {
                        **of == *self.namespace && **name == **called
                    }
                    _ => false,
                };
                targets.iter().any(called)
            }
            (Place::Gateway(_), Scope::All) => everywhere,
            (Place::Gateway(_), Scope::Labels(wanted)) => {
                let ours = |(key, value): &(String, String)| {
                    let mut labels = INGRESS.iter();
                    labels.any(|label| *label == (key.as_str(), value.as_str()))
                };
                everywhere && wanted.iter().all(ours)
            }
            (Place::Gateway(gateways), Scope::Targets(targets)) => targets.iter().any(|target| {
                let named = |name: &str| format!("{}/{name}", self.namespace);
                match target {
                    Target::Gateway(name) => {
                        let wanted = named(name);
                        gateways.iter().any(|gateway| **gateway == *wanted)
                    }
                    Target::Gateways => everywhere,
                    Target::Service(_) => false,
                }
            }),
        }
    }
}

fn scope(spec: &Field<'_>, faults: &mut Vec<Fault>) -> Scope {
    let (selector, one, many) = (
        spec.at("selector"),
        spec.at("targetRef"),
        spec.at("targetRefs"),
    );
    let mut targets = many.each();
    targets.extend((!one.value.is_null()).then_some(one));
    if targets.is_empty() {
        let labels = selector.at("matchLabels");
        let labels = labels.value.as_object().into_iter().flatten();
        let texts =
            labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let labels: Vec<(String, String)> = texts.collect();
        return match labels.is_empty() {
            true => Scope::All,
            false => Scope::Labels(labels),
        };
    }
    if !selector.value.is_null() {
        faults.push(Fault::new(selector.path, "goes with no targetRefs"));
    }
    let read = targets.iter().map(|field| target(field, faults));
    let read: Option<Vec<Target>> = read.collect();
    // Whom it was to concern, nobody knows.
    read.map_or(Scope::All, Scope::Targets)
}

fn target(field: &Field<'_>, faults: &mut Vec<Fault>) -> Option<Target> {
    let text = |key: &str| field.value[key].as_str().unwrap_or_default();
    let name = text("name");
    if name.is_empty() {
        faults.push(Fault::new(format!("{}.name", field.path), "is missing"));
        return None;
    }
    match (text("group"), text("kind")) {
        ("" | "core", "Service") => Some(Target::Service(name.into())),
        ("gateway.networking.k8s.io" | "networking.istio.io", "Gateway") => {
            Some(Target::Gateway(name.into()))
        }
        ("gateway.networking.k8s.io", "GatewayClass") => Some(Target::Gateways),
        _ => {
            let detail = "must be a Service, a Gateway or a GatewayClass";
            faults.push(Fault::new(format!("{}.kind", field.path), detail));
            None
        }
    }
}
