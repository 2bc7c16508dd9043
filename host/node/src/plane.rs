//! The data plane without pods: the proxy with its snapshots and policies, for what stands beside a process that is no pod.

use std::sync::Arc;

use http::{Request, Response, StatusCode};
use osier_client::Recorder;
use osier_process::body::{self, Body};
use osier_process::{Boxed, Tasks};
use osier_proxy::{Agent, Certify, MeshListener, Pods, Proxy};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::components::Components;
use crate::extend::{Extensions, Room};
use crate::gate::PolicyGate;
use crate::mesh::{Mirrors, Publisher};
use crate::node::{Parts, join, until_stopped};
use crate::remote::Remote;
use crate::settings::Settings;

/// A running data plane.
pub struct Plane {
    proxy: Arc<Proxy>,
    certify: Arc<dyn Certify>,
    domain: String,
    ready: [watch::Receiver<bool>; 2],
}

impl Plane {
    /// Starts it before whatever `pods` stands for; it runs until the tasks stop.
    pub fn start(settings: &Settings, parts: Parts, pods: Arc<dyn Pods>, tasks: &Tasks) -> Self {
        let gate = Arc::new(PolicyGate::default());
        let proxy = Proxy::new(pods, Arc::clone(&gate) as _, &parts.metrics, tasks.clone());
        join(&proxy, settings, &parts);
        let client = parts.client;
        let recorder = Recorder::start(client.clone(), "osier-proxy", &settings.node_name, tasks);
        let mirrors = Mirrors::start(&client, settings.edge, tasks);
        let (publisher, _published) = Publisher::new(
            (client.clone(), recorder.clone()),
            mirrors.clone(),
            Arc::clone(&proxy),
            settings,
            tasks.clone(),
        );
        let room = Room {
            components: Components::new(
                (parts.images, parts.bundled),
                parts.engine,
                Some(Remote::new(client.clone())),
                tasks.clone(),
            ),
            client,
            recorder,
            node_name: settings.node_name.clone(),
            root_namespace: settings.root_namespace.clone(),
            mirrors,
            tasks: tasks.clone(),
        };
        let (decides, is_deciding) = watch::channel(false);
        let is_routing = publisher.ready();
        until_stopped(tasks, "mesh", publisher.run());
        let extensions = Extensions::new(room, parts.policy, gate, decides);
        until_stopped(tasks, "policy", extensions.run());
        Self {
            proxy,
            certify: parts.certify,
            domain: settings.domain.clone(),
            ready: [is_routing, is_deciding],
        }
    }

    /// The one door for requests.
    pub fn proxy(&self) -> Arc<Proxy> {
        Arc::clone(&self.proxy)
    }

    /// Takes the calls of nodes, until the tasks stop.
    pub fn serve_mesh(&self, listener: TcpListener, tasks: &Tasks) {
        let (certify, agent) = (Arc::clone(&self.certify), Arc::new(NoAgent));
        MeshListener::serve(&self.proxy, listener, (certify, &self.domain), agent, tasks);
    }

    /// Waits until the first snapshot is in the proxy and the policies are in force or known to fail.
    pub async fn ready(&self) {
        for part in &self.ready {
            let mut part = part.clone();
            // The sender is gone only when the process stops, and then nobody waits any more.
            let _seen = part.wait_for(|ready| *ready).await;
        }
    }
}

/// There are no pods that the API server could ask about.
struct NoAgent;

impl Agent for NoAgent {
    fn call(&self, _question: Request<Body>) -> Boxed<'static, Response<Body>> {
        let mut answer = Response::new(body::full("a workload's proxy has no pods\n"));
        *answer.status_mut() = StatusCode::NOT_FOUND;
        Box::pin(std::future::ready(answer))
    }
}
