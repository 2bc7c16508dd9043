//! Requests through the door, with small pods and a small gate behind it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod checks;
mod choices;
mod cost;
mod failures;
mod filters;
mod heads;
mod policy;
mod reports;
mod resilience;
mod routing;
mod sessions;
mod strict;
mod upstream;
mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt;
use osier_api::Object;
use osier_process::body::{self, Body};
use osier_process::metrics::Metrics;
use osier_process::serve::Peer;
use osier_process::{Boxed, Tasks};
use osier_snapshot::{Endpoint, Inputs, ListenerKey, Weighted, Workload, compile};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    Approval, Call, Choice, Chosen, Denial, Direction, Filter, Gate, PodError, Pods, Proxy, Record,
    Settings, Source, Verdict,
};

type Answer = Result<Response<Body>, PodError>;
type Handler = Arc<dyn Fn(Request<Body>) -> Boxed<'static, Answer> + Send + Sync>;

/// Pods in memory: a handler for each pod's name, and who was called.
#[derive(Default)]
struct TestPods {
    handlers: Mutex<HashMap<String, Handler>>,
    called: Mutex<Vec<String>>,
}

impl Pods for TestPods {
    fn call(&self, endpoint: &Arc<Endpoint>, request: Request<Body>) -> Boxed<'static, Answer> {
        let name = endpoint.workload.name.to_string();
        self.called.lock().push(name.clone());
        match self.handlers.lock().get(&name) {
            Some(handler) => handler(request),
            None => Box::pin(async { Err(PodError::NotHere) }),
        }
    }
}

/// A report, kept.
#[derive(Clone, Debug)]
struct Reported {
    status: u16,
    flags: &'static str,
    route: String,
    cluster: String,
    destination: String,
    verdict: &'static str,
    policy: String,
    request_bytes: u64,
    response_bytes: u64,
    duration_ms: u128,
    /// What was decided and the outcome of it.
    decisions: Vec<String>,
}

type Check = Box<dyn Fn(&Call<'_>) -> Verdict + Send + Sync>;
type Filters = Box<dyn Fn(&Call<'_>) -> Vec<Arc<dyn Filter>> + Send + Sync>;

/// A gate that does what the test says, and keeps what it was asked and told.
struct TestGate {
    check: Mutex<Check>,
    filters: Mutex<Filters>,
    route: Mutex<Option<Choice>>,
    balance: Mutex<Option<usize>>,
    asked: Mutex<Vec<(Direction, String)>>,
    reports: Mutex<Vec<Reported>>,
}

impl Gate for TestGate {
    fn check(&self, call: &Call<'_>) -> Verdict {
        let whom = call.destination.map_or_else(
            || {
                call.service
                    .map(|service| service.name.to_string())
                    .unwrap_or_default()
            },
            |workload| workload.name.to_string(),
        );
        self.asked.lock().push((call.direction, whom));
        (self.check.lock())(call)
    }

    fn chooses_routes(&self) -> bool {
        self.route.lock().is_some()
    }

    fn route(&self, _: &Call<'_>, _: &[Weighted]) -> Result<Chosen<Choice>, Box<Denial>> {
        Ok(Chosen {
            choice: self.route.lock().clone(),
            ..Chosen::default()
        })
    }

    fn balance(&self, _: &Call<'_>, _: &[Arc<Endpoint>]) -> Result<Chosen<usize>, Box<Denial>> {
        Ok(Chosen {
            choice: *self.balance.lock(),
            ..Chosen::default()
        })
    }

    fn filters(&self, call: &Call<'_>) -> Result<Chosen<crate::Filters>, Box<Denial>> {
        Ok(Chosen {
            choice: Some((self.filters.lock())(call)),
            decisions: Vec::new(),
        })
    }

    fn report(&self, record: &Record<'_>) {
        self.reports.lock().push(Reported {
            status: record.status,
            flags: record.flags,
            route: record.route.into(),
            cluster: record.cluster.into(),
            destination: record
                .destination
                .map(|workload| workload.name.to_string())
                .unwrap_or_default(),
            verdict: record.verdict,
            policy: record.policy.into(),
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
            duration_ms: record.duration.as_millis(),
            decisions: record
                .decisions
                .iter()
                .map(|one| format!("{} {} {}", one.template, one.outcome, one.reason))
                .collect(),
        });
    }
}

/// A proxy with everything around it.
struct Mesh {
    proxy: Arc<Proxy>,
    pods: Arc<TestPods>,
    gate: Arc<TestGate>,
    metrics: Metrics,
    tasks: Tasks,
}

impl Mesh {
    /// One service `echo` with as many pods (`echo-0` …), and one VirtualService for it with these rules.
    fn new(pods: usize, rules: Value) -> Self {
        Self::with(pods, rules, Settings::default())
    }

    fn with(pods: usize, rules: Value, settings: Settings) -> Self {
        let (metrics, tasks) = (Metrics::new(), Tasks::new());
        let gate = Arc::new(TestGate {
            check: Mutex::new(Box::new(|_| Verdict::Allow(Approval::default()))),
            filters: Mutex::new(Box::new(|_| Vec::new())),
            route: Mutex::default(),
            balance: Mutex::default(),
            asked: Mutex::default(),
            reports: Mutex::default(),
        });
        let handlers = Arc::new(TestPods::default());
        let proxy = Proxy::with_settings(
            (handlers.clone(), gate.clone()),
            &metrics,
            tasks.clone(),
            settings,
        );
        let mesh = Self {
            proxy,
            pods: handlers,
            gate,
            metrics,
            tasks,
        };
        mesh.publish(pods, rules);
        mesh
    }

    fn publish(&self, pods: usize, rules: Value) {
        let (snapshot, findings) = snapshot(pods, rules, &self.proxy.snapshot());
        assert!(findings.is_empty(), "{findings:?}");
        self.proxy.publish(Arc::new(snapshot));
    }

    /// The same with a DestinationRule for the service.
    fn publish_with(&self, pods: usize, rules: Value, policy: Value) {
        let policies = [policy];
        let (snapshot, findings) = compiled(pods, rules, &policies, &self.proxy.snapshot());
        assert!(findings.is_empty(), "{findings:?}");
        self.proxy.publish(Arc::new(snapshot));
    }

    /// Lets a pod answer.
    fn pod<F>(&self, name: &str, handler: F) -> &Self
    where
        F: Fn(Request<Body>) -> Boxed<'static, Answer> + Send + Sync + 'static,
    {
        self.pods
            .handlers
            .lock()
            .insert(name.into(), Arc::new(handler));
        self
    }

    /// Lets a pod answer 200 with its own name and the request's body.
    fn echo(&self, name: &'static str) -> &Self {
        self.pod(name, move |request| {
            Box::pin(async move {
                let body =
                    request
                        .into_body()
                        .collect()
                        .await
                        .map_err(|error| PodError::Failed {
                            reason: error.to_string(),
                        })?;
                Ok(Response::new(body::full(format!(
                    "{name}:{}",
                    String::from_utf8_lossy(&body.to_bytes())
                ))))
            })
        })
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.proxy.handle(outside(), request).await
    }

    fn called(&self) -> Vec<String> {
        self.pods.called.lock().clone()
    }

    fn reports(&self) -> Vec<Reported> {
        self.gate.reports.lock().clone()
    }

    /// The one report so far.
    fn report(&self) -> Reported {
        let reports = self.reports();
        assert_eq!(reports.len(), 1, "{reports:?}");
        reports[0].clone()
    }
}

fn outside() -> Source {
    Source::Gateway {
        name: "gateway".into(),
        listener: ListenerKey::Main,
        peer: Arc::new(Peer::plain(SocketAddr::from(([192, 0, 2, 7], 4711)))),
    }
}

fn caller() -> Source {
    let pod = json!({"metadata": {"name": "caller-1", "namespace": "default", "uid": "caller-1", "labels": {"app": "caller"}}});
    Source::Pod(Arc::new(Workload::from_pod(
        &Object::from_value(pod).unwrap(),
        "cluster.local",
    )))
}

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(body::empty()).unwrap()
}

fn post(uri: &str, text: &'static str) -> Request<Body> {
    Request::post(uri).body(body::full(text)).unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
    .unwrap()
}

fn object(value: Value) -> Arc<Object> {
    Arc::new(Object::from_value(value).unwrap())
}

/// Rules that send everything to `echo`, with these further fields.
fn to_echo(extra: Value) -> Value {
    let mut rule = json!({"name": "all", "route": [{"destination": {"host": "echo"}}]});
    for (key, value) in extra.as_object().unwrap() {
        rule[key] = value.clone();
    }
    json!([rule])
}

fn snapshot(
    pods: usize,
    rules: Value,
    previous: &osier_snapshot::Snapshot,
) -> (osier_snapshot::Snapshot, Vec<osier_snapshot::Finding>) {
    compiled(pods, rules, &[], previous)
}

fn compiled(
    pods: usize,
    rules: Value,
    policies: &[Value],
    previous: &osier_snapshot::Snapshot,
) -> (osier_snapshot::Snapshot, Vec<osier_snapshot::Finding>) {
    let meta = json!({"name": "echo", "namespace": "default"});
    let names: Vec<String> = (0..pods).map(|number| format!("echo-{number}")).collect();
    let addresses: Vec<Value> = names
        .iter()
        .map(|name| json!({"ip": "10.244.0.1", "targetRef": {"kind": "Pod", "name": name}}))
        .collect();
    let pod = |name: &String| {
        let labels = json!({"app": "echo", "version": "v1"});
        object(
            json!({"metadata": {"name": name, "namespace": "default", "uid": name, "labels": labels}}),
        )
    };
    let pods: Vec<_> = names.iter().map(pod).collect();
    let service = object(
        json!({"metadata": meta, "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}}),
    );
    let endpoints = object(
        json!({"metadata": meta, "subsets": [{"addresses": addresses, "ports": [{"port": 8080}]}]}),
    );
    let routes = |hosts: Value, gateways: Value| {
        object(
            json!({"metadata": meta, "spec": {"hosts": hosts, "gateways": gateways, "http": rules}}),
        )
    };
    let inside = routes(json!(["echo"]), json!(["mesh"]));
    let mut outside = routes(json!(["*"]), json!(["edge"])).as_ref().clone();
    outside.set(&["metadata", "name"], json!("echo-outside"));
    let gateway = object(
        json!({"metadata": {"name": "edge", "namespace": "default"}, "spec": {"servers": [{"hosts": ["*"]}]}}),
    );
    let policies = policies.iter();
    let policies: Vec<_> = policies
        .map(|policy| {
            object(json!({"metadata": meta, "spec": {"host": "echo", "trafficPolicy": policy}}))
        })
        .collect();
    let inputs = Inputs {
        services: &[service],
        endpoints: &[endpoints],
        pods: &pods,
        virtual_services: &[inside, Arc::new(outside)],
        destination_rules: &policies,
        gateways: &[gateway],
        service_entries: &[],
        workload_entries: &[],
        secrets: &[],
        workload_groups: &[],
        nodes: &[],
        node: "",
        gateway_port: 0,
        domain: "cluster.local",
        ..Inputs::default()
    };
    compile(&inputs, Some(previous))
}
