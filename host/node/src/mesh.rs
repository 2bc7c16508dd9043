//! Feeds the proxy: objects change, a snapshot is compiled off the request path and published.

mod findings;

use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{
    DESTINATION_RULES, ENDPOINTS, GATEWAYS, PODS, SERVICES, VIRTUAL_SERVICES,
};
use osier_client::{Client, Informer, Recorder, Scope};
use osier_process::Tasks;
use osier_proxy::Proxy;
use osier_snapshot::{Finding, Inputs, Snapshot, compile};
use tokio::sync::watch;

use findings::Findings;

/// Changes that come together are compiled together: the first waits this long for others.
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

/// The informers that a snapshot is made of.
#[derive(Clone)]
pub(crate) struct Mirrors {
    pub(crate) pods: Arc<Informer>,
    pub(crate) services: Arc<Informer>,
    endpoints: Arc<Informer>,
    virtual_services: Arc<Informer>,
    destination_rules: Arc<Informer>,
    gateways: Arc<Informer>,
}

impl Mirrors {
    pub(crate) fn start(client: &Client, tasks: &Tasks) -> Self {
        let start = |resource| Informer::start(client.clone(), resource, Scope::default(), tasks);
        Self {
            pods: start(&PODS),
            services: start(&SERVICES),
            endpoints: start(&ENDPOINTS),
            virtual_services: start(&VIRTUAL_SERVICES),
            destination_rules: start(&DESTINATION_RULES),
            gateways: start(&GATEWAYS),
        }
    }

    pub(crate) fn all(&self) -> [&Arc<Informer>; 6] {
        [
            &self.pods,
            &self.services,
            &self.endpoints,
            &self.virtual_services,
            &self.destination_rules,
            &self.gateways,
        ]
    }
}

/// Publishes snapshots until the tasks stop.
pub(crate) struct Publisher {
    pub(crate) mirrors: Mirrors,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) domain: String,
    pub(crate) tasks: Tasks,
    sender: watch::Sender<Arc<Snapshot>>,
    ready: watch::Sender<bool>,
    findings: Findings,
}

impl Publisher {
    pub(crate) fn new(
        (client, recorder): (Client, Recorder),
        mirrors: Mirrors,
        proxy: Arc<Proxy>,
        domain: &str,
        tasks: Tasks,
    ) -> (Self, Published) {
        let (sender, receiver) = watch::channel(proxy.snapshot());
        let publisher = Self {
            mirrors,
            proxy,
            domain: domain.to_owned(),
            tasks,
            sender,
            ready: watch::Sender::new(false),
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
        loop {
            for change in &mut changes {
                change.borrow_and_update();
            }
            self.publish().await;
            let any = changes.iter_mut().map(|change| Box::pin(change.changed()));
            // An informer ends with the process, as we do.
            let _changed = futures::future::select_all(any).await;
            tokio::time::sleep(GATHER).await;
        }
    }

    async fn publish(&mut self) {
        let (mirrors, domain, previous) = (
            self.mirrors.clone(),
            self.domain.clone(),
            self.proxy.snapshot(),
        );
        let compiled = self
            .tasks
            .spawn_blocking("compile-mesh", move || {
                compile_all(&mirrors, &domain, &previous)
            })
            .await;
        let Ok((snapshot, found)) = compiled else {
            return;
        };
        let snapshot = Arc::new(snapshot);
        self.proxy.publish(Arc::clone(&snapshot));
        self.sender.send_replace(snapshot);
        self.ready.send_replace(true);
        self.findings.tell(&self.mirrors, found).await;
    }
}

fn compile_all(mirrors: &Mirrors, domain: &str, previous: &Snapshot) -> (Snapshot, Vec<Finding>) {
    let [
        pods,
        services,
        endpoints,
        virtual_services,
        destination_rules,
        gateways,
    ]: [Vec<Arc<Object>>; 6] = mirrors.all().map(|informer| informer.list());
    let inputs = Inputs {
        services: &services,
        endpoints: &endpoints,
        pods: &pods,
        virtual_services: &virtual_services,
        destination_rules: &destination_rules,
        gateways: &gateways,
        domain,
    };
    compile(&inputs, Some(previous))
}
