//! What all kinds of routes share: the object as a [`RouteSet`], its backends, and the objects that it is read together with.

use std::sync::Arc;

use osier_api::Object;
use serde_json::Value;

use super::filters::Filters;
use super::references::{References, Target};
use super::{
    Context, GRPC_ROUTE, HTTP_ROUTE, filters, grpc_route, http_route, matches, parents,
    stream_route,
};
use crate::table::{About, Order, RouteSet};
use osier_routing::kind::Kind;
use osier_routing::route::{Action, Destination, Forward, ServiceName, Weighted};
use osier_standing::FindingKind;
use osier_traffic::Fields;

/// The most that one backend may weigh, by the API's definition.
const MOST_WEIGHT: u32 = 1_000_000;

/// Reads one route of a kind.
pub(crate) fn compile(object: &Object, kind: Kind, references: &References<'_>) -> RouteSet {
    let context = Context {
        resource: kind,
        namespace: object.namespace(),
        name: object.name(),
        references,
    };
    let about = About::of(object, kind);
    let findings = about.findings();
    let mut set = RouteSet {
        order: Order::Narrowest,
        generation: object.generation(),
        ..RouteSet::empty(about)
    };
    if let Some(mut spec) = Fields::spec(object, &findings) {
        parents::read(&mut spec, context, &mut set);
        set.hosts = parents::hosts(&mut spec);
        rules(&mut spec, context, &mut set);
    }
    set.findings = findings.into_vec();
    set
}

fn rules(spec: &mut Fields<'_>, context: Context<'_>, set: &mut RouteSet) {
    match context.resource {
        HTTP_ROUTE => http_route::read(spec, (context, matches::http), set),
        GRPC_ROUTE => http_route::read(spec, (context, grpc_route::matcher), set),
        _ => stream_route::read(spec, context, set),
    }
}

/// The objects that a route is read together with: the Services that it names, and the grants of their namespaces.
pub(crate) fn needed(object: &Object, references: &References<'_>) -> Vec<Option<Arc<Object>>> {
    let mut needed = Vec::new();
    let rules = object.get(&["spec", "rules"]);
    for rule in rules.and_then(Value::as_array).into_iter().flatten() {
        let backends = list(rule, "backendRefs");
        let filters = backends
            .clone()
            .flat_map(|backend| list(backend, "filters"));
        let filters = filters.chain(list(rule, "filters"));
        let copies = filters.map(|filter| &filter["requestMirror"]["backendRef"]);
        for backend in backends.chain(copies.filter(|copy| copy.is_object())) {
            let namespace = backend["namespace"].as_str();
            let namespace = namespace.unwrap_or_else(|| object.namespace());
            let name = backend["name"].as_str().unwrap_or_default();
            needed.push(references.service(namespace, name).cloned());
            if namespace != object.namespace() {
                needed.extend(references.grants(namespace).map(Some));
            }
        }
    }
    needed
}

fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + Clone {
    of[key].as_array().into_iter().flatten()
}

/// Reads `backendRefs` of a rule of this name as where its requests go, with the filters of each that are still to be applied.
pub(super) fn forward(
    rule: &mut Fields<'_>,
    name: &str,
    context: Context<'_>,
) -> (Action, Vec<Filters>) {
    let (mut destinations, mut filters) = (Vec::new(), Vec::new());
    for mut backend in rule.objects("backendRefs") {
        let weight = backend.number::<u32>("weight").unwrap_or(1);
        let mut own = filters::of_backend(&mut backend, name, context);
        let to = destination(&mut backend, context);
        let refused = own.refused.as_deref();
        destinations.push(Weighted {
            destination: refused.map_or(to, Destination::nowhere),
            weight: weight.min(MOST_WEIGHT),
            headers: std::mem::take(&mut own.headers),
            own: None,
        });
        filters.push(own);
    }
    let weights = destinations.iter().map(|destination| destination.weight);
    let total = weights.fold(0u32, u32::saturating_add);
    if total == 0 {
        let reason = "the rule of the route has no backend that takes requests";
        return (refusal(reason), Vec::new());
    }
    let forward = Forward {
        destinations,
        total,
    };
    (Action::Forward(forward), filters)
}

/// Answers every request with 500.
pub(super) fn refusal(reason: &str) -> Action {
    let only = Weighted {
        destination: Destination::nowhere(reason),
        weight: 1,
        headers: osier_routing::headers::HeaderEdits::default(),
        own: None,
    };
    Action::Forward(Forward {
        destinations: vec![only],
        total: 1,
    })
}

/// Reads a reference to a backend. What cannot be called is said, and stays a destination: its share gets 500.
pub(super) fn destination(fields: &mut Fields<'_>, context: Context<'_>) -> Destination {
    let (group, kind) = (fields.text("group"), fields.text("kind"));
    let namespace = fields.text("namespace").unwrap_or(context.namespace);
    let name = fields.text("name").unwrap_or_default();
    let port = fields.number("port");
    let service = group.unwrap_or_default().is_empty() && kind.unwrap_or("Service") == "Service";
    let found = if service {
        find((namespace, name), port, context)
    } else {
        let kind = kind.unwrap_or_default();
        Err((
            FindingKind::UnknownKind,
            format!("{kind} {name} cannot be a backend: Services can"),
        ))
    };
    match found {
        Ok(()) => Destination {
            service: ServiceName::Mesh {
                namespace: namespace.into(),
                name: name.into(),
            },
            subset: None,
            port,
        },
        Err((why, detail)) => {
            let detail = format!("{detail}; its share of requests is answered with 500");
            fields.findings().add(why, fields.at(""), detail.as_str());
            Destination::nowhere(&detail)
        }
    }
}

fn find(
    (namespace, name): (&str, &str),
    port: Option<u16>,
    context: Context<'_>,
) -> Result<(), (FindingKind, String)> {
    let target = Target {
        kind: Kind::SERVICE,
        namespace,
        name,
    };
    let from = (context.resource, context.namespace);
    if !context.references.permit(from, target) {
        let detail = format!(
            "no ReferenceGrant in namespace {namespace} lets {} of namespace {} name Service {name}",
            context.resource, context.namespace
        );
        return Err((FindingKind::NotPermitted, detail));
    }
    let Some(service) = context.references.service(namespace, name) else {
        let detail = format!("Service {namespace}/{name} does not exist");
        return Err((FindingKind::Reference, detail));
    };
    port_of(service, port)
}

fn port_of(service: &Object, port: Option<u16>) -> Result<(), (FindingKind, String)> {
    let (namespace, name) = (service.namespace(), service.name());
    let ports = service.get(&["spec", "ports"]).and_then(Value::as_array);
    let ports: Vec<u64> = ports
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["port"].as_u64())
        .collect();
    let has = |port: u16| ports.contains(&u64::from(port));
    match port {
        Some(port) if has(port) => Ok(()),
        Some(port) => {
            let detail = format!("Service {namespace}/{name} has no port {port}");
            Err((FindingKind::Reference, detail))
        }
        None => {
            let detail = format!("the port of Service {namespace}/{name} is missing");
            Err((FindingKind::Invalid, detail))
        }
    }
}
