//! Ingress as a front end of the route model (<https://kubernetes.io/docs/concepts/services-networking/ingress/>).
//!
//! An Ingress asks for plain HTTP on port 80, which is the node's main listener, and for port 443 where it names certificates. Of
//! its paths the longest that fits wins, a whole path before a prefix; what fits none goes to its default backend.

use std::collections::HashSet;
use std::sync::Arc;

use osier_api::Object;
use serde_json::Value;

use crate::gateways::{GatewaySet, Namespaces, ServedHost, ServerProtocol, ServerSpec};
use crate::inputs::Inputs;
use crate::table::{About, Binding, HostName, Order, RouteSet};
use osier_routing::hosts::HostPattern;
use osier_routing::kind::Kind;
use osier_routing::matcher::{Matcher, PathMatch, SourceMatch, StringMatch};
use osier_routing::route::{Destination, Route, ServiceName};
use osier_routing::rules::Rule;
use osier_standing::{FindingKind, Findings};
use osier_traffic::{Credential, Fields, TlsMode, TlsSpec};

/// The controller that serves ingresses here, as IngressClasses name it.
pub const INGRESS_CONTROLLER: &str = "osier.dev/ingress-controller";

pub(crate) const KIND: Kind = Kind::new("networking.k8s.io", "Ingress");

/// Names the class in the place of `spec.ingressClassName`, as was the custom before that.
const CLASS: &str = "kubernetes.io/ingress.class";

/// Marks the class of ingresses that name none.
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// The plain port, which means the node's main listener wherever that is.
const PLAIN: [u16; 1] = [80];

/// What one Ingress says.
#[derive(Debug)]
pub(crate) struct Ingress {
    /// The ports that it asks for, and what was wrong with it.
    pub(crate) gateway: Arc<GatewaySet>,
    /// Its routes, a set for each host.
    pub(crate) sets: Vec<Arc<RouteSet>>,
}

/// The ingresses whose class is served here.
pub(crate) fn served(inputs: &Inputs<'_>) -> Vec<Arc<Object>> {
    let ours = |class: &&Arc<Object>| class.text(&["spec", "controller"]) == INGRESS_CONTROLLER;
    let classes = inputs.ingress_classes.iter().filter(ours);
    let by_default = classes
        .clone()
        .any(|class| class.annotation(DEFAULT_CLASS) == Some("true"));
    let classes: HashSet<&str> = classes.map(|class| class.name()).collect();
    let served = |ingress: &&Arc<Object>| {
        let named = ingress.text(&["spec", "ingressClassName"]);
        match (named, ingress.annotation(CLASS)) {
            ("", None) => by_default,
            ("", Some(annotated)) => classes.contains(annotated),
            (named, _) => classes.contains(named),
        }
    };
    inputs.ingresses.iter().filter(served).cloned().collect()
}

/// The Services whose ports an ingress names by name.
pub(crate) fn needed<'a>(
    object: &Object,
    service: impl Fn(&str) -> Option<&'a Arc<Object>>,
) -> Vec<Option<Arc<Object>>> {
    let rules = object.get(&["spec", "rules"]).and_then(Value::as_array);
    let paths = rules.into_iter().flatten();
    let paths = paths.flat_map(|rule| rule["http"]["paths"].as_array().into_iter().flatten());
    let backends = paths.map(|path| &path["backend"]);
    let backends = backends.chain(object.get(&["spec", "defaultBackend"]));
    let services = backends.map(|backend| &backend["service"]);
    let named = services.filter(|service| service["port"]["name"].is_string());
    named
        .map(|named| service(named["name"].as_str().unwrap_or_default()).cloned())
        .collect()
}

/// Reads one Ingress. `service` finds a Service of its namespace.
pub(crate) fn compile<'a>(
    object: &Object,
    service: impl Fn(&str) -> Option<&'a Arc<Object>>,
) -> Ingress {
    let about = About::of(object, KIND);
    let findings = about.findings();
    let mut sets = Vec::new();
    let mut servers = vec![server(&about, "spec.rules".to_owned())];
    if let Some(mut spec) = Fields::spec(object, &findings) {
        let _class = spec.value("ingressClassName");
        let backends = Backends {
            about: &about,
            service: &service,
        };
        servers.extend(certificates(&mut spec, &about));
        sets = routes(&mut spec, &backends);
    }
    let gateway = GatewaySet {
        servers,
        addresses: Vec::new(),
        shows: None,
        insecure: false,
        generation: object.generation(),
        findings: findings.into_vec(),
        about,
    };
    Ingress {
        gateway: Arc::new(gateway),
        sets: sets.into_iter().map(Arc::new).collect(),
    }
}

/// The plain port, for every host.
fn server(about: &About, field: String) -> ServerSpec {
    ServerSpec {
        name: String::new(),
        field,
        port: Some(PLAIN[0]),
        protocol: ServerProtocol::Http,
        main_ports: &PLAIN,
        kinds: None,
        refused: None,
        hosts: vec![served_host(about, HostPattern::Any)],
        tls: None,
        clients: None,
        https_redirect: false,
        proxy_protocol: false,
    }
}

fn served_host(about: &About, pattern: HostPattern) -> ServedHost {
    ServedHost {
        namespaces: Namespaces::Only(vec![about.namespace.clone()]),
        pattern,
    }
}

/// The TLS port, a server for each certificate.
fn certificates(spec: &mut Fields<'_>, about: &About) -> Vec<ServerSpec> {
    let mut servers = Vec::new();
    for mut tls in spec.objects("tls") {
        let hosts: Vec<ServedHost> = tls
            .texts("hosts")
            .iter()
            .filter_map(|(_, host)| Some(served_host(about, HostPattern::parse(host)?)))
            .collect();
        let Some(name) = tls.text("secretName").filter(|name| !name.is_empty()) else {
            tls.not_applied(
                "secretName",
                "an ingress without a certificate of its own has no TLS",
            );
            continue;
        };
        let credential = Credential {
            namespace: about.namespace.clone(),
            name: name.to_owned(),
            field: tls.at("secretName"),
        };
        let plain = server(about, tls.at(""));
        servers.push(ServerSpec {
            port: Some(443),
            protocol: ServerProtocol::Https,
            hosts: if hosts.is_empty() { plain.hosts } else { hosts },
            tls: Some(TlsSpec::new(TlsMode::Simple, vec![credential])),
            ..plain
        });
    }
    servers
}

/// What is needed to read a backend.
struct Backends<'a, 'b> {
    about: &'a About,
    service: &'a dyn Fn(&str) -> Option<&'b Arc<Object>>,
}

fn routes(spec: &mut Fields<'_>, backends: &Backends<'_, '_>) -> Vec<RouteSet> {
    let default = spec.object("defaultBackend").map(|mut backend| {
        let name = route_name(backends.about, "defaultBackend");
        Arc::new(Route::to(name, backends.destination(&mut backend)))
    });
    let mut sets: Vec<RouteSet> = Vec::new();
    if default.is_some() {
        sets.push(set(
            backends.about,
            "*",
            HostPattern::Any,
            spec.at("defaultBackend"),
        ));
    }
    for (number, mut rule) in (0u32..).zip(spec.objects("rules")) {
        read_rule(&mut rule, number, backends, &mut sets);
    }
    // What fits no path of a host is for the default backend.
    for set in &mut sets {
        let matcher = Matcher {
            source: everywhere(),
            ..Matcher::default()
        };
        set.rules
            .extend(default.clone().map(|route| Rule { matcher, route }));
    }
    sets
}

fn read_rule(
    rule: &mut Fields<'_>,
    number: u32,
    backends: &Backends<'_, '_>,
    sets: &mut Vec<RouteSet>,
) {
    let host = rule.text("host").filter(|host| !host.is_empty());
    let text = host.unwrap_or("*").to_ascii_lowercase();
    let Some(pattern) = HostPattern::parse(&text) else {
        rule.invalid("host", "not a host name or *.suffix; the rule is ignored");
        return;
    };
    let known = sets.iter().position(|set| set.hosts[0].pattern == pattern);
    let at = known.unwrap_or_else(|| {
        let field = rule.at("host");
        sets.push(set(backends.about, &text, pattern.clone(), field));
        sets.len() - 1
    });
    let mut http = rule.object("http");
    let paths = http.iter_mut().flat_map(|http| http.objects("paths"));
    for (place, mut path) in (0u32..).zip(paths) {
        let name = format!("rules[{number}].http.paths[{place}]");
        let name = route_name(backends.about, &name);
        let matcher = matcher(&mut path, &pattern);
        if let Some(mut backend) = path.object("backend") {
            let route = Arc::new(Route::to(name, backends.destination(&mut backend)));
            sets[at].rules.push(Rule { matcher, route });
        }
    }
}

fn route_name(about: &About, rule: &str) -> Arc<str> {
    format!("{}/{}/{rule}", about.namespace, about.name).into()
}

fn set(about: &About, text: &str, pattern: HostPattern, field: String) -> RouteSet {
    let own = Binding::to(KIND, about.namespace.clone(), about.name.clone());
    let host = HostName {
        text: text.to_owned(),
        pattern,
        field,
    };
    RouteSet {
        hosts: vec![host],
        gateways: vec![own],
        order: Order::Narrowest,
        ..RouteSet::empty(about.clone())
    }
}

fn everywhere() -> SourceMatch {
    SourceMatch {
        gateway: true,
        ..SourceMatch::default()
    }
}

/// The conditions of a path. What its type leaves to us goes by segments, as a prefix does.
fn matcher(path: &mut Fields<'_>, host: &HostPattern) -> Matcher {
    let text = path.text("path").unwrap_or("/");
    let text = match path.text("pathType") {
        Some("Exact") => StringMatch::Exact(text.into()),
        _ => StringMatch::segments(text),
    };
    // The star of an ingress stands for one label.
    let one_label = match host {
        HostPattern::Suffix(suffix) => {
            StringMatch::whole(&format!("[^.]+{}", regex::escape(suffix))).ok()
        }
        HostPattern::Exact(_) | HostPattern::Any => None,
    };
    Matcher {
        path: Some(PathMatch {
            text,
            ignore_case: false,
        }),
        authority: one_label,
        source: everywhere(),
        ..Matcher::default()
    }
}

fn no_resource(resource: &Value, backend: &Fields<'_>) -> Destination {
    let kind = resource["kind"].as_str().unwrap_or_default();
    let detail = format!("{kind} cannot be a backend: Services can; its requests get 500");
    let (findings, field) = (backend.findings(), backend.at("resource"));
    findings.add(FindingKind::UnknownKind, field, detail.as_str());
    Destination::nowhere(&detail)
}

impl Backends<'_, '_> {
    fn destination(&self, backend: &mut Fields<'_>) -> Destination {
        if let Some(resource) = backend.value("resource") {
            return no_resource(resource, backend);
        }
        let Some(mut service) = backend.object("service") else {
            return Destination::nowhere("the backend names no Service");
        };
        let name = service.text("name").unwrap_or_default();
        match self.port(name, &mut service) {
            Ok(port) => Destination {
                service: ServiceName::Mesh {
                    namespace: self.about.namespace.as_str().into(),
                    name: name.into(),
                },
                subset: None,
                port: Some(port),
            },
            Err(detail) => {
                let detail = format!("{detail}; its requests get 500");
                let findings: &Findings = service.findings();
                findings.add(FindingKind::Reference, service.at("port"), detail.as_str());
                Destination::nowhere(&detail)
            }
        }
    }

    fn port(&self, service: &str, fields: &mut Fields<'_>) -> Result<u16, String> {
        let missing = || format!("the port of Service {service} is missing");
        let mut port = fields.object("port").ok_or_else(missing)?;
        if let Some(number) = port.number::<u16>("number").filter(|number| *number != 0) {
            return Ok(number);
        }
        let name = port.text("name").ok_or_else(missing)?;
        let object = (self.service)(service);
        let ports = object.and_then(|object| object.get(&["spec", "ports"])?.as_array());
        let mut ports = ports.into_iter().flatten();
        ports
            .find(|port| port["name"] == name)
            .and_then(|port| port["port"].as_u64()?.try_into().ok())
            .ok_or_else(|| format!("Service {service} has no port {name:?}"))
    }
}
