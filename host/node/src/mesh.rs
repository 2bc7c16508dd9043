//! Feeds the proxy: objects change, a snapshot is compiled off the request path and published.

mod findings;
mod gateway_api;
mod listeners;
mod sought;

use std::sync::Arc;
use std::time::{Duration, Instant};

use osier_api::Object;
use osier_api::resources::networking::{INGRESS_CLASSES, INGRESSES};
use osier_api::resources::{
    DESTINATION_RULES, ENDPOINTS, GATEWAYS, NAMESPACES, NODES, PEER_AUTHENTICATIONS, PODS, SECRETS,
    SERVICE_ENTRIES, SERVICES, SIDECARS, VIRTUAL_SERVICES, WORKLOAD_ENTRIES, WORKLOAD_GROUPS,
};
use osier_client::{Client, Informer, Query, Recorder, Scope};
use osier_process::Tasks;
use osier_proxy::{Opened, Proxy};
use osier_snapshot::{Finding, GatewayApi, Inputs, Snapshot, compile};
use serde_json::json;
use tokio::sync::watch;

use crate::settings::Settings;
use findings::Findings;
use gateway_api::{GatewayApiMirrors, GatewayApiStatuses};
use osier_life::kept;

/// Changes that come together are compiled together: the first waits this long for others, and as long as the last compile took, so
/// that a large mesh in which much changes costs half a core.
const GATHER: Duration = Duration::from_millis(10);

/// The snapshot that the proxy has.
#[derive(Clone)]
pub(crate) struct Published(watch::Receiver<Arc<Snapshot>>);

impl Published {
    /// Waits until no endpoint of the pod is routed to, for at most `patience`.
    pub(crate) async fn without(&self, uid: &str, patience: Duration) {
        let mut snapshots = self.0.clone();
        let absent = |snapshot: &Arc<Snapshot>| {
            !snapshot
                .endpoints()
                .any(|endpoint| *endpoint.workload.uid == *uid)
        };
        // Whether it left or time is up: the pod ends now.
        let _either = tokio::time::timeout(patience, snapshots.wait_for(absent)).await;
    }
}

/// Of a node only its name, its labels and whether it is ready matter: what it reports of itself every few seconds is not kept.
fn keep_of_node(node: &mut Object) {
    let ready = sought::is_ready(node);
    for field in ["spec", "status"] {
        node.remove(&[field]);
    }
    let condition = json!([{"type": "Ready", "status": if ready { "True" } else { "False" }}]);
    node.set(&["status", "conditions"], condition);
}

/// The informers that a snapshot is made of.
#[derive(Clone)]
pub(crate) struct Mirrors {
    pub(crate) pods: Arc<Informer>,
    pub(crate) services: Arc<Informer>,
    endpoints: Arc<Informer>,
    virtual_services: Arc<Informer>,
    destination_rules: Arc<Informer>,
    gateways: Arc<Informer>,
    /// Of the node that serves the gateways only.
    secrets: Option<Arc<Informer>>,
    service_entries: Arc<Informer>,
    workload_entries: Arc<Informer>,
    workload_groups: Arc<Informer>,
    sidecars: Arc<Informer>,
    peer_authentications: Arc<Informer>,
    nodes: Arc<Informer>,
    namespaces: Arc<Informer>,
    pub(crate) ingresses: Arc<Informer>,
    ingress_classes: Arc<Informer>,
    gateway_api: GatewayApiMirrors,
}

impl Mirrors {
    pub(crate) fn start(client: &Client, edge: bool, tasks: &Tasks) -> Self {
        let start = |resource| Informer::start(client.clone(), resource, Scope::default(), tasks);
        let pods = Scope {
            // A pod without a node neither calls nor is called.
            query: Query {
                fields: Some("spec.nodeName!=".to_owned()),
                ..Query::default()
            },
            trim: Some(kept::keep),
            ..Scope::default()
        };
        let nodes = Scope {
            trim: Some(keep_of_node),
            ..Scope::default()
        };
        Self {
            pods: Informer::start(client.clone(), &PODS, pods, tasks),
            services: start(&SERVICES),
            endpoints: start(&ENDPOINTS),
            virtual_services: start(&VIRTUAL_SERVICES),
            destination_rules: start(&DESTINATION_RULES),
            gateways: start(&GATEWAYS),
            secrets: edge.then(|| start(&SECRETS)),
            service_entries: start(&SERVICE_ENTRIES),
            workload_entries: start(&WORKLOAD_ENTRIES),
            workload_groups: start(&WORKLOAD_GROUPS),
            sidecars: start(&SIDECARS),
            peer_authentications: start(&PEER_AUTHENTICATIONS),
            nodes: Informer::start(client.clone(), &NODES, nodes, tasks),
            namespaces: start(&NAMESPACES),
            ingresses: start(&INGRESSES),
            ingress_classes: start(&INGRESS_CLASSES),
            gateway_api: GatewayApiMirrors::start(client, edge, tasks),
        }
    }

    pub(crate) fn all(&self) -> Vec<&Arc<Informer>> {
        let own = [
            &self.pods,
            &self.services,
            &self.endpoints,
            &self.virtual_services,
            &self.destination_rules,
            &self.gateways,
            &self.service_entries,
            &self.workload_entries,
            &self.workload_groups,
            &self.sidecars,
            &self.peer_authentications,
            &self.nodes,
            &self.namespaces,
            &self.ingresses,
            &self.ingress_classes,
        ];
        let all = own.into_iter().chain(&self.secrets);
        all.chain(self.gateway_api.all()).collect()
    }
}

/// What of its settings a node's snapshots depend on.
#[derive(Clone)]
struct Standpoint {
    domain: String,
    root_namespace: String,
    node: String,
    gateway_port: u16,
}

/// Publishes snapshots until the tasks stop.
pub(crate) struct Publisher {
    pub(crate) mirrors: Mirrors,
    pub(crate) proxy: Arc<Proxy>,
    standpoint: Standpoint,
    edge: bool,
    pub(crate) tasks: Tasks,
    sender: watch::Sender<Arc<Snapshot>>,
    ready: watch::Sender<bool>,
    findings: Findings,
    statuses: GatewayApiStatuses,
}

impl Publisher {
    pub(crate) fn new(
        (client, recorder): (Client, Recorder),
        mirrors: Mirrors,
        proxy: Arc<Proxy>,
        settings: &Settings,
        tasks: Tasks,
    ) -> (Self, Published) {
        let (sender, receiver) = watch::channel(proxy.snapshot());
        let publisher = Self {
            mirrors,
            proxy,
            standpoint: Standpoint {
                domain: settings.domain.clone(),
                root_namespace: settings.root_namespace.clone(),
                node: settings.node_name.clone(),
                gateway_port: settings.gateway_port,
            },
            edge: settings.edge,
            tasks,
            sender,
            ready: watch::Sender::new(false),
            statuses: GatewayApiStatuses::new(client.clone(), settings),
            findings: Findings::new(client, recorder),
        };
        (publisher, Published(receiver))
    }

    /// True once the proxy has its first snapshot.
    pub(crate) fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    pub(crate) async fn run(mut self) {
        // Subscribed before the first list is read, so that nothing that comes after is missed.
        let mut changes: Vec<_> = self
            .mirrors
            .all()
            .iter()
            .map(|informer| informer.changed())
            .collect();
        for informer in self.mirrors.all() {
            informer.synced().await;
        }
        let mut opened = self.proxy.opened();
        let mut found = Vec::new();
        let mut due = true;
        loop {
            let began = Instant::now();
            if due {
                for change in &mut changes {
                    change.borrow_and_update();
                }
                found = self.publish().await.unwrap_or(found);
            }
            let took = began.elapsed();
            let listeners = opened.borrow_and_update().clone();
            if self.edge {
                self.tell(&found, &listeners).await;
            }
            let any = changes.iter_mut().map(|change| Box::pin(change.changed()));
            // An informer ends with the process, as we do.
            due = tokio::select! {
                _changed = futures::future::select_all(any) => true,
                _opened = opened.changed() => false,
            };
            tokio::time::sleep(GATHER.max(took)).await;
        }
    }

    /// Tells what is not in force.
    async fn tell(&mut self, found: &[Finding], listeners: &Opened) {
        let snapshot = self.proxy.snapshot();
        let told = listeners::told(found.to_vec(), &snapshot, listeners);
        let of_gateways = (&*snapshot, &*told.findings, listeners);
        let mirrors = &self.mirrors.gateway_api;
        self.statuses.tell(mirrors, of_gateways).await;
        let ingresses = &self.mirrors.ingresses;
        self.statuses.ingresses(ingresses, &snapshot).await;
        self.findings.tell(&self.mirrors, told).await;
    }

    /// Compiles and publishes; what is not in force is the answer.
    async fn publish(&mut self) -> Option<Vec<Finding>> {
        let (mirrors, standpoint, previous) = (
            self.mirrors.clone(),
            self.standpoint.clone(),
            self.proxy.snapshot(),
        );
        let compiled = self
            .tasks
            .spawn_blocking("compile-mesh", move || {
                compile_all(&mirrors, &standpoint, &previous)
            })
            .await;
        let (snapshot, mut found) = compiled.ok()?;
        let snapshot = Arc::new(snapshot);
        found.extend(self.proxy.publish(Arc::clone(&snapshot)));
        self.sender.send_replace(snapshot);
        self.ready.send_replace(true);
        Some(found)
    }
}

/// What is mirrored, if it is.
fn listed(informer: Option<&Arc<Informer>>) -> Vec<Arc<Object>> {
    informer.map_or_else(Vec::new, |informer| informer.list())
}

fn compile_all(
    mirrors: &Mirrors,
    standpoint: &Standpoint,
    previous: &Snapshot,
) -> (Snapshot, Vec<Finding>) {
    let api = &mirrors.gateway_api;
    let gateway_api = GatewayApi {
        classes: &api.classes.list(),
        gateways: &api.gateways.list(),
        http_routes: &api.http_routes.list(),
        grpc_routes: &api.grpc_routes.list(),
        tls_routes: &api.tls_routes.list(),
        tcp_routes: &api.tcp_routes.list(),
        reference_grants: &api.reference_grants.list(),
        backend_tls_policies: &api.backend_tls_policies.list(),
        config_maps: &listed(api.config_maps.as_ref()),
    };
    let inputs = Inputs {
        services: &mirrors.services.list(),
        endpoints: &mirrors.endpoints.list(),
        pods: &mirrors.pods.list(),
        virtual_services: &mirrors.virtual_services.list(),
        destination_rules: &mirrors.destination_rules.list(),
        gateways: &mirrors.gateways.list(),
        secrets: &listed(mirrors.secrets.as_ref()),
        service_entries: &mirrors.service_entries.list(),
        workload_entries: &mirrors.workload_entries.list(),
        workload_groups: &mirrors.workload_groups.list(),
        sidecars: &mirrors.sidecars.list(),
        peer_authentications: &mirrors.peer_authentications.list(),
        namespaces: &mirrors.namespaces.list(),
        ingresses: &mirrors.ingresses.list(),
        ingress_classes: &mirrors.ingress_classes.list(),
        gateway_api,
        nodes: &mirrors.nodes.list(),
        root_namespace: &standpoint.root_namespace,
        node: &standpoint.node,
        gateway_port: standpoint.gateway_port,
        domain: &standpoint.domain,
    };
    compile(&inputs, Some(previous))
}
