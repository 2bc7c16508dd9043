//! The Gateway API's objects: their mirrors, and their status, written when it says something new.

mod status;

use std::collections::HashMap;
use std::sync::Arc;

use osier_api::resources::CONFIG_MAPS;
use osier_api::resources::gateway_api as resources;
use osier_api::{Object, Resource};
use osier_client::{Client, Informer, Part, Scope};
use osier_process::Tasks;
use osier_proxy::Opened;
use osier_snapshot::{
    CONTROLLER, Condition, Finding, GatewayStanding, Kind, ListenerKey, Opening, PolicyStanding,
    RouteStanding, Snapshot, Subject,
};
use serde_json::{Value, json};

use super::listeners::ObjectKey;
use crate::settings::Settings;

/// Features of the conformance suite beyond the core ones, sorted as the API asks
/// (<https://github.com/kubernetes-sigs/gateway-api/tree/main/pkg/features>).
const FEATURES: &[&str] = &[
    "BackendTLSPolicy",
    "BackendTLSPolicySANValidation",
    "GRPCRoute",
    "GRPCRouteNamedRouteRule",
    "Gateway",
    "GatewayAddressEmpty",
    "GatewayBackendClientCertificate",
    "GatewayFrontendClientCertificateValidation",
    "GatewayFrontendClientCertificateValidationInsecureFallback",
    "GatewayHTTPListenerIsolation",
    "GatewayHTTPSListenerDetectMisdirectedRequests",
    "GatewayPort8080",
    "GatewayStaticAddresses",
    "HTTPRoute",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteBackendProtocolH2C",
    "HTTPRouteBackendProtocolWebSocket",
    "HTTPRouteBackendRequestHeaderModification",
    "HTTPRouteBackendTimeout",
    "HTTPRouteCORS",
    "HTTPRouteDestinationPortMatching",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestTimeout",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteSchemeRedirect",
    "Mesh",
    "MeshConsumerRoute",
    "MeshHTTPRouteBackendRequestHeaderModification",
    "MeshHTTPRouteNamedRouteRule",
    "MeshHTTPRouteQueryParamMatching",
    "MeshHTTPRouteRedirectPath",
    "MeshHTTPRouteRedirectPort",
    "MeshHTTPRouteRewritePath",
    "MeshHTTPRouteSchemeRedirect",
    "ReferenceGrant",
    "TCPRoute",
    "TLSRoute",
    "TLSRouteModeMixed",
    "TLSRouteModeTerminate",
];

/// The informers of the Gateway API's kinds.
#[derive(Clone)]
pub(super) struct GatewayApiMirrors {
    pub(super) classes: Arc<Informer>,
    pub(super) gateways: Arc<Informer>,
    pub(super) http_routes: Arc<Informer>,
    pub(super) grpc_routes: Arc<Informer>,
    pub(super) tls_routes: Arc<Informer>,
    pub(super) tcp_routes: Arc<Informer>,
    pub(super) reference_grants: Arc<Informer>,
    pub(super) backend_tls_policies: Arc<Informer>,
    /// Of which only authorities are kept.
    pub(super) config_maps: Option<Arc<Informer>>,
}

/// Only authorities are read.
fn keep_of_config_map(map: &mut Object) {
    let authorities = map.get(&["data", "ca.crt"]).cloned();
    for field in ["data", "binaryData"] {
        map.remove(&[field]);
    }
    if let Some(authorities) = authorities {
        map.set(&["data", "ca.crt"], authorities);
    }
}

impl GatewayApiMirrors {
    pub(super) fn start(client: &Client, edge: bool, tasks: &Tasks) -> Self {
        let start = |resource| Informer::start(client.clone(), resource, Scope::default(), tasks);
        let authorities = Scope {
            trim: Some(keep_of_config_map),
            // Programs keep leases and counters in others: those changes are none of a mesh.
            only: Some(|map| map.get(&["data"]).is_some()),
            ..Scope::default()
        };
        Self {
            classes: start(&resources::GATEWAY_CLASSES),
            gateways: start(&resources::GATEWAYS),
            http_routes: start(&resources::HTTP_ROUTES),
            grpc_routes: start(&resources::GRPC_ROUTES),
            tls_routes: start(&resources::TLS_ROUTES),
            tcp_routes: start(&resources::TCP_ROUTES),
            reference_grants: start(&resources::REFERENCE_GRANTS),
            backend_tls_policies: start(&resources::BACKEND_TLS_POLICIES),
            config_maps: edge
                .then(|| Informer::start(client.clone(), &CONFIG_MAPS, authorities, tasks)),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Informer>> {
        let others = [
            &self.classes,
            &self.gateways,
            &self.reference_grants,
            &self.backend_tls_policies,
        ];
        let others = others.into_iter().chain(&self.config_maps);
        others.chain(self.routes())
    }

    fn routes(&self) -> [&Arc<Informer>; 4] {
        [
            &self.http_routes,
            &self.grpc_routes,
            &self.tls_routes,
            &self.tcp_routes,
        ]
    }
}

/// Writes what became of the objects.
pub(super) struct GatewayApiStatuses {
    client: Client,
    /// The address by which gateways are reached.
    address: String,
    main_port: u16,
}

/// Findings by the object that they are about.
type ByObject<'a> = HashMap<ObjectKey, Vec<&'a Finding>>;

fn by_object(findings: &[Finding]) -> ByObject<'_> {
    let mut by_object = ByObject::new();
    for finding in findings {
        let (namespace, name) = (finding.namespace.clone(), finding.name.clone());
        let of_object = by_object.entry((finding.resource, namespace, name));
        of_object.or_default().push(finding);
    }
    by_object
}

impl GatewayApiStatuses {
    pub(super) fn new(client: Client, settings: &Settings) -> Self {
        Self {
            client,
            address: settings.host_ip.clone(),
            main_port: settings.gateway_port,
        }
    }

    /// Writes every status that says something else than it should.
    pub(super) async fn tell(
        &self,
        mirrors: &GatewayApiMirrors,
        (snapshot, findings, opened): (&Snapshot, &[Finding], &Opened),
    ) {
        let by_object = by_object(findings);
        for class in mirrors.classes.list() {
            self.class(&class).await;
        }
        for gateway in &snapshot.standings().gateways {
            self.gateway(mirrors, gateway, (&by_object, opened)).await;
        }
        for policy in &snapshot.standings().policies {
            self.policy(&mirrors.backend_tls_policies, policy, &by_object)
                .await;
        }
        let standings = snapshot.standings().routes.iter();
        let standings: HashMap<ObjectKey, &RouteStanding> = standings
            .map(|route| (key(&route.subject), route))
            .collect();
        for informer in mirrors.routes() {
            let kind = Kind::of(informer.resource());
            for route in informer.list() {
                let key = (kind, route.namespace().to_owned(), route.name().to_owned());
                let findings = by_object.get(&key).map_or(&[][..], Vec::as_slice);
                let standing = standings.get(&key).copied();
                self.route(informer.resource(), &route, (standing, findings))
                    .await;
            }
        }
    }

    /// Says of the ingresses that are served where they are reached.
    pub(super) async fn ingresses(&self, ingresses: &Informer, snapshot: &Snapshot) {
        for subject in &snapshot.standings().ingresses {
            if let Some(ingress) = ingresses.get(&subject.namespace, &subject.name) {
                let status = json!({"loadBalancer": {"ingress": [{"ip": self.address}]}});
                self.write(ingresses.resource(), &ingress, status).await;
            }
        }
    }

    async fn class(&self, class: &Object) {
        if class.text(&["spec", "controllerName"]) != CONTROLLER {
            return;
        }
        let accepted = match class.get(&["spec", "parametersRef"]) {
            None => ("Accepted", true, ""),
            Some(_) => (
                "InvalidParameters",
                false,
                "spec.parametersRef: the class takes no parameters",
            ),
        };
        let (reason, holds, message) = accepted;
        let conditions = [Condition {
            kind: "Accepted",
            holds,
            reason,
            message: message.to_owned(),
        }];
        let features = FEATURES.iter().map(|name| json!({"name": name}));
        let features: Vec<Value> = features.collect();
        let known = class.get(&["status", "conditions"]);
        let status = json!({"supportedFeatures": features,
            "conditions": status::conditions(known, &conditions, class.generation())});
        self.write(&resources::GATEWAY_CLASSES, class, status).await;
    }

    async fn gateway(
        &self,
        mirrors: &GatewayApiMirrors,
        standing: &GatewayStanding,
        (findings, opened): (&ByObject<'_>, &Opened),
    ) {
        let subject = &standing.subject;
        // A gateway of Ingress has no status of its own.
        let found = mirrors.gateways.get(&subject.namespace, &subject.name);
        let of_this = |gateway: &Arc<Object>| gateway.generation() == subject.generation;
        let Some(gateway) = found.filter(of_this) else {
            return;
        };
        let findings = findings.get(&key(subject)).map_or(&[][..], Vec::as_slice);
        let opening = |key| self.opening(key, opened);
        let conditions = standing.conditions(findings, &self.address, opening);
        let status = status::gateway(&gateway, standing, (&conditions, &self.address));
        self.write(&resources::GATEWAYS, &gateway, status).await;
    }

    async fn policy(&self, mirror: &Informer, policy: &PolicyStanding, findings: &ByObject<'_>) {
        let subject = &policy.subject;
        let found = mirror.get(&subject.namespace, &subject.name);
        let of_this = |object: &Arc<Object>| object.generation() == subject.generation;
        let Some(object) = found.filter(of_this) else {
            return;
        };
        let findings = findings.get(&key(subject)).map_or(&[][..], Vec::as_slice);
        let status = status::policy(&object, policy, findings);
        self.write(mirror.resource(), &object, status).await;
    }

    fn opening(&self, key: ListenerKey, opened: &Opened) -> Opening {
        match key {
            ListenerKey::Main if self.main_port == 0 => {
                Some(Ok("served by the node's main gateway listener".to_owned()))
            }
            ListenerKey::Main => Some(Ok(format!(
                "served by the node's main gateway listener, port {}",
                self.main_port
            ))),
            ListenerKey::Port(port) => {
                let opened = opened.get(&port)?.as_ref();
                let place = opened.map(|address| format!("listens on {address}"));
                Some(place.map_err(Clone::clone))
            }
        }
    }

    async fn route(
        &self,
        resource: &Resource,
        route: &Object,
        (standing, findings): (Option<&RouteStanding>, &[&Finding]),
    ) {
        // What was compiled is another edition: the next snapshot speaks of this one.
        if standing.is_some_and(|standing| standing.subject.generation != route.generation()) {
            return;
        }
        let parents = standing.map_or(&[][..], |standing| &standing.parents);
        if parents.is_empty() && route.get(&["status"]).is_none() {
            return;
        }
        let status = status::route(route, parents, findings);
        self.write(resource, route, status).await;
    }

    async fn write(&self, resource: &Resource, object: &Object, status: Value) {
        let says = |(field, value): (&String, &Value)| {
            object.get(&["status", field.as_str()]) == Some(value)
        };
        if status.as_object().is_some_and(|map| map.iter().all(says)) {
            return;
        }
        let patch = json!({"metadata": {"uid": object.uid()}, "status": status});
        let of = (object.namespace(), object.name());
        if let Err(error) = self.client.patch(resource, of, patch, Part::Status).await {
            tracing::debug!(%error, name = of.1, "a status is not written; it is tried again with the next snapshot");
        }
    }
}

fn key(subject: &Subject) -> ObjectKey {
    let (namespace, name) = (subject.namespace.clone(), subject.name.clone());
    (subject.resource, namespace, name)
}
