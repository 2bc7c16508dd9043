//! Gateway: what its listeners ask for, as a [`GatewaySet`].
//!
//! The node is the one gateway workload, so gateways share its addresses: listeners of several gateways on one port are served
//! together, told apart by their hosts.

use std::sync::Arc;

use osier_api::Object;
use osier_api::selector::LabelSelector;
use serde_json::Value;

use super::frontend::{Frontend, Proof};
use super::references::{References, Target};
use super::{Context, GATEWAY, GRPC_ROUTE, HTTP_ROUTE, TCP_ROUTE, TLS_ROUTE, frontend};
use crate::gateways::{GatewaySet, Namespaces, ServedHost, ServerProtocol, ServerSpec};
use crate::table::About;
use osier_routing::hosts::HostPattern;
use osier_routing::kind::Kind;
use osier_standing::{AddressWish, FindingKind, Refused};
use osier_traffic::{Credential, Fields, TlsMode, TlsSpec};

/// The controller that serves gateways here, as GatewayClasses name it.
pub const CONTROLLER: &str = "osier.dev/gateway-controller";

/// The plain port that means the node's main listener wherever that is.
const MAIN: [u16; 1] = [80];

const SECRET: Kind = Kind::new("", "Secret");

/// Reads one Gateway.
pub(crate) fn compile(object: &Object, references: &References<'_>) -> GatewaySet {
    let context = Context {
        resource: GATEWAY,
        namespace: object.namespace(),
        name: object.name(),
        references,
    };
    let about = About::of(object, GATEWAY);
    let findings = about.findings();
    let (mut servers, mut addresses, mut insecure) = (Vec::new(), Vec::new(), false);
    let mut shows = None;
    if let Some(mut spec) = Fields::spec(object, &findings) {
        let _class = spec.value("gatewayClassName");
        let mut frontend = Frontend::default();
        if let Some(mut tls) = spec.object("tls") {
            frontend = Frontend::read(&mut tls, context);
            shows = backend(&mut tls, context);
        }
        insecure = frontend.is_insecure();
        for mut listener in spec.objects("listeners") {
            servers.push(server(&mut listener, &frontend, context));
        }
        refuse_indistinct(&mut servers);
        addresses = self::addresses(&mut spec);
        if !is_made(&mut spec) {
            let all = servers.iter_mut();
            all.for_each(|server| server.refused = Some(Refused::Parameters));
        }
    }
    GatewaySet {
        about,
        servers,
        addresses,
        shows,
        insecure,
        generation: object.generation(),
        findings: findings.into_vec(),
    }
}

/// What backends are shown (<https://gateway-api.sigs.k8s.io/geps/gep-3155/>).
fn backend(tls: &mut Fields<'_>, context: Context<'_>) -> Option<Credential> {
    let mut reference = tls.object("backend")?.object("clientCertificateRef")?;
    certificate(&mut reference, context)
}

fn addresses(spec: &mut Fields<'_>) -> Vec<AddressWish> {
    let all = spec.objects("addresses").into_iter();
    all.map(|mut address| AddressWish {
        kind: address.text("type").unwrap_or("IPAddress").to_owned(),
        value: address
            .text("value")
            .filter(|text| !text.is_empty())
            .map(ToOwned::to_owned),
    })
    .collect()
}

/// Whether it can be made as `infrastructure` asks. Nothing is made for a gateway that could bear its labels and annotations, and
/// nothing is left to parameters.
fn is_made(spec: &mut Fields<'_>) -> bool {
    let Some(mut infrastructure) = spec.object("infrastructure") else {
        return true;
    };
    let _borne = (
        infrastructure.value("labels"),
        infrastructure.value("annotations"),
    );
    infrastructure.value("parametersRef").is_none()
}

/// The objects that a gateway is read together with: the grants for its certificates, and namespaces if it selects some.
pub(crate) fn needed(object: &Object, references: &References<'_>) -> Vec<Option<Arc<Object>>> {
    let mut needed = Vec::new();
    let listeners = object.get(&["spec", "listeners"]).and_then(Value::as_array);
    let listeners = listeners.into_iter().flatten();
    let mut selects = false;
    for listener in listeners {
        let certificates = listener["tls"]["certificateRefs"].as_array();
        let elsewhere = certificates.into_iter().flatten();
        for namespace in elsewhere.filter_map(|one| one["namespace"].as_str()) {
            needed.extend(references.grants(namespace).map(Some));
        }
        selects |= listener["allowedRoutes"]["namespaces"]["from"] == "Selector";
    }
    let shown = object.get(&[
        "spec",
        "tls",
        "backend",
        "clientCertificateRef",
        "namespace",
    ]);
    let elsewhere = shown.and_then(Value::as_str);
    needed.extend(
        elsewhere
            .into_iter()
            .flat_map(|namespace| references.grants(namespace).map(Some)),
    );
    needed.extend(frontend::needed(object, references));
    if selects {
        needed.extend(references.namespaces.iter().cloned().map(Some));
    }
    needed
}

fn server(listener: &mut Fields<'_>, frontend: &Frontend, context: Context<'_>) -> ServerSpec {
    let name = listener.text("name").unwrap_or_default().to_owned();
    let port = listener.number::<u16>("port").unwrap_or(0);
    let written = listener.text("protocol").unwrap_or_default();
    let host = listener.text("hostname").filter(|host| !host.is_empty());
    let pattern = host.map_or(Some(HostPattern::Any), HostPattern::parse);
    let mut tls = listener
        .object("tls")
        .map(|mut tls| self::tls(&mut tls, context));
    let passes = tls.as_ref().is_some_and(passes);
    let (protocol, served) = protocol(written, passes);
    let encrypted = matches!(protocol, Some(ServerProtocol::Https | ServerProtocol::Tls));
    let certified = tls
        .as_ref()
        .is_some_and(|tls| passes || !tls.credentials.is_empty());
    let secure = protocol == Some(ServerProtocol::Https);
    let proof = frontend.of(port).filter(|_| secure);
    let refused = match protocol {
        None => Some(Refused::Unsupported),
        Some(_) if encrypted && !certified => Some(Refused::Certificates),
        Some(_) if proof.is_some_and(Proof::is_impossible) => Some(Refused::Authorities),
        Some(_) => None,
    };
    if let (Some(proof), Some(tls)) = (proof, &mut tls) {
        proof.apply(tls);
    }
    let (namespaces, kinds) = allowed(listener, served, context);
    ServerSpec {
        name,
        field: listener.at(""),
        port: Some(port),
        protocol: protocol.unwrap_or(ServerProtocol::Tcp),
        hosts: pattern
            .map(|pattern| ServedHost {
                namespaces,
                pattern,
            })
            .into_iter()
            .collect(),
        main_ports: &MAIN,
        kinds: Some(kinds),
        refused,
        tls: tls.filter(|_| encrypted),
        clients: proof.map(|proof| proof.field.clone()),
        https_redirect: false,
        proxy_protocol: false,
    }
}

fn passes(tls: &TlsSpec) -> bool {
    tls.mode == TlsMode::Passthrough
}

/// The protocol of a listener if it is served, and the kinds of routes that go with it.
fn protocol(written: &str, passes: bool) -> (Option<ServerProtocol>, &'static [Kind]) {
    match &*written.to_ascii_uppercase() {
        "HTTP" => (Some(ServerProtocol::Http), &[HTTP_ROUTE, GRPC_ROUTE]),
        "HTTPS" => (Some(ServerProtocol::Https), &[HTTP_ROUTE, GRPC_ROUTE]),
        "TLS" if passes => (Some(ServerProtocol::Tls), &[TLS_ROUTE]),
        "TLS" => (Some(ServerProtocol::Tls), &[TLS_ROUTE, TCP_ROUTE]),
        "TCP" => (Some(ServerProtocol::Tcp), &[TCP_ROUTE]),
        _ => (None, &[]),
    }
}

fn tls(tls: &mut Fields<'_>, context: Context<'_>) -> TlsSpec {
    let mode = match tls.text("mode") {
        Some("Passthrough") => TlsMode::Passthrough,
        _ => TlsMode::Simple,
    };
    let mut credentials = Vec::new();
    for mut reference in tls.objects("certificateRefs") {
        credentials.extend(certificate(&mut reference, context));
    }
    TlsSpec::new(mode, credentials)
}

fn certificate(reference: &mut Fields<'_>, context: Context<'_>) -> Option<Credential> {
    let (group, kind) = (reference.text("group"), reference.text("kind"));
    let namespace = reference.text("namespace").unwrap_or(context.namespace);
    let name = reference.text("name").unwrap_or_default();
    let field = reference.at("");
    let findings = reference.findings();
    if !group.unwrap_or_default().is_empty() || kind.unwrap_or("Secret") != "Secret" {
        let kind = kind.unwrap_or_default();
        let detail = format!("{kind} {name} holds no certificate: name a Secret");
        findings.add(FindingKind::UnknownKind, field, detail);
        return None;
    }
    let target = Target {
        kind: SECRET,
        namespace,
        name,
    };
    let from = (context.resource, context.namespace);
    if !context.references.permit(from, target) {
        let detail = format!(
            "no ReferenceGrant in namespace {namespace} lets Gateways of namespace {} name Secret {name}",
            context.namespace
        );
        findings.add(FindingKind::NotPermitted, field, detail);
        return None;
    }
    Some(Credential {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        field,
    })
}

/// From which namespaces routes may attach, and of which of the kinds that the protocol serves.
fn allowed(
    listener: &mut Fields<'_>,
    served: &[Kind],
    context: Context<'_>,
) -> (Namespaces, Vec<Kind>) {
    let own = || Namespaces::Only(vec![context.namespace.to_owned()]);
    let Some(mut allowed) = listener.object("allowedRoutes") else {
        return (own(), served.to_vec());
    };
    let namespaces = allowed.object("namespaces").map(|mut namespaces| {
        let selector = namespaces.value("selector");
        match namespaces.text("from") {
            Some("All") => Namespaces::All,
            Some("None") => Namespaces::Only(Vec::new()),
            Some("Selector") => selected(&namespaces, selector, context),
            _ => own(),
        }
    });
    let kinds = kinds(&mut allowed, served);
    (namespaces.unwrap_or_else(own), kinds)
}

fn kinds(allowed: &mut Fields<'_>, served: &[Kind]) -> Vec<Kind> {
    let written = allowed.objects("kinds");
    if written.is_empty() {
        return served.to_vec();
    }
    let mut kinds = Vec::new();
    for mut fields in written {
        let group = fields.text("group").unwrap_or(GATEWAY.group);
        let kind = fields.text("kind").unwrap_or_default();
        let mut known = served.iter();
        match known.find(|known| known.group == group && known.name == kind) {
            Some(known) if kinds.contains(known) => {}
            Some(known) => kinds.push(*known),
            None => {
                let detail = format!("the listener's protocol serves no routes of kind {kind}");
                let findings = fields.findings();
                findings.add(FindingKind::UnknownKind, fields.at(""), detail);
            }
        }
    }
    kinds
}

fn selected(fields: &Fields<'_>, selector: Option<&Value>, context: Context<'_>) -> Namespaces {
    let nothing = Value::Null;
    match LabelSelector::from_object(selector.unwrap_or(&nothing)) {
        Ok(selector) => {
            let all = context.references.namespaces.iter();
            let selected = all.filter(|namespace| selector.selects(namespace));
            Namespaces::Only(selected.map(|one| one.name().to_owned()).collect())
        }
        Err(error) => {
            fields.invalid("selector", format!("{error}; it selects no namespace"));
            Namespaces::Only(Vec::new())
        }
    }
}

/// Listeners of one object on one port that nothing tells apart: none of them is opened, as the specification asks.
fn refuse_indistinct(servers: &mut [ServerSpec]) {
    let usable = |spec: &ServerSpec| spec.refused != Some(Refused::Unsupported);
    let refused: Vec<Option<Refused>> = servers
        .iter()
        .enumerate()
        .map(|(at, one)| {
            let others = servers.iter().enumerate();
            let mut others = others.filter(|(other, spec)| *other != at && usable(spec));
            others
                .find_map(|(_, other)| clash(one, other))
                .filter(|_| usable(one))
        })
        .collect();
    for (server, refused) in servers.iter_mut().zip(refused) {
        server.refused = refused.or(server.refused);
    }
}

/// Why two listeners of one object cannot both be opened.
fn clash(a: &ServerSpec, b: &ServerSpec) -> Option<Refused> {
    let encrypted =
        |spec: &ServerSpec| matches!(spec.protocol, ServerProtocol::Https | ServerProtocol::Tls);
    let host = |spec: &ServerSpec| spec.hosts.first().map(|host| host.pattern.clone());
    let tcp = a.protocol == ServerProtocol::Tcp;
    match a.port == b.port {
        false => None,
        true if a.protocol != b.protocol && !(encrypted(a) && encrypted(b)) => {
            Some(Refused::Protocol)
        }
        true if tcp || host(a) == host(b) => Some(Refused::Hostname),
        true => None,
    }
}
