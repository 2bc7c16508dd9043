//! A gateway's listener over a real socket: how a connection begins, heads and bodies of HTTP/1 and HTTP/2, and the one door behind them.

use http::{Request, Response};
use osier_process::body::{self, Body};
use osier_process::metrics::Metrics;
use osier_process::serve::{Limits, Security, bind, serve};
use osier_process::{Boxed, Tasks};
use osier_proxy::{Approval, Call, Gate, GatewayListener, PodError, Pods, Proxy, Record, Verdict};
use osier_snapshot::{Endpoint, Inputs, ListenerKey, compile};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// A client that says no more gets its connection closed.
const LIMIT: Duration = Duration::from_secs(15);

thread_local! {
    static PLAIN: Door = Door::open(&json!({"protocol": "HTTP", "number": 8080}), &Value::Null);
    static TLS: Door = Door::open(&json!({"protocol": "TLS", "number": 8443}), &json!({"mode": "PASSTHROUGH"}));
}

/// Bytes of a client on a listener of plain HTTP.
pub(crate) fn http(bytes: &[u8]) {
    PLAIN.with(|door| door.exchange(bytes));
}

/// Bytes of a client on a listener that reads the server name, and passes what it is encrypted with on.
pub(crate) fn tls(bytes: &[u8]) {
    TLS.with(|door| door.exchange(bytes));
}

/// Panics so far: one in a task ends its connection and nothing else.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |information| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(information);
        }));
    });
}

/// A listener, and the runtime in which it and its client live.
struct Door {
    runtime: Runtime,
    address: SocketAddr,
}

impl Door {
    fn open(port: &Value, tls: &Value) -> Self {
        count_panics();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (metrics, tasks) = (Metrics::new(), Tasks::new());
        let proxy = Proxy::new(Arc::new(Echo), Arc::new(Open), &metrics, tasks.clone());
        proxy.publish(Arc::new(mesh(port, tls)));
        let key = match port["number"].as_u64() {
            Some(8080) => ListenerKey::Main,
            _ => ListenerKey::Port(8443),
        };
        let address = runtime.block_on(async {
            let listener = bind(([127, 0, 0, 1], 0).into()).await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let handle = GatewayListener::new(proxy, key, tasks.stopping());
            let security = Security::Chosen(Arc::new(handle.clone()));
            let served = serve(listener, security, handle, tasks.clone(), Limits::default());
            tasks.spawn("gateway", served);
            address
        });
        // It stays open as long as the thread does.
        std::mem::forget(tasks);
        Self { runtime, address }
    }

    fn exchange(&self, sent: &[u8]) {
        let before = PANICS.load(Ordering::SeqCst);
        let talks = async {
            let mut stream = TcpStream::connect(self.address)
                .await
                .expect("a connection");
            let (mut read, mut write) = stream.split();
            let sends = async {
                let _broken_off = write.write_all(sent).await;
                let _broken_off = write.shutdown().await;
            };
            let mut answer = Vec::new();
            let _bytes = tokio::join!(sends, read.read_to_end(&mut answer));
            answer
        };
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(LIMIT, talks).await });
        let answer = answer.expect("the connection outlives what its client says");
        assert_eq!(PANICS.load(Ordering::SeqCst), before, "a task panicked");
        let one = answer.starts_with(b"HTTP/1.");
        // A frame of HTTP/2 begins with its length: none of ours has more than 16 KiB.
        let two = answer.first() == Some(&0);
        assert!(
            answer.is_empty() || one || two,
            "{:?}",
            answer.get(..answer.len().min(64))
        );
    }
}

/// Pods that send back what they get.
struct Echo;

impl Pods for Echo {
    fn call(
        &self,
        _endpoint: &Arc<Endpoint>,
        request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, PodError>> {
        let (host, path) = (request.uri().authority(), request.uri().path());
        let server_wide = path == "*" && request.method() == http::Method::OPTIONS;
        let well = host.is_some() && (path.starts_with('/') || server_wide);
        assert!(well, "a pod sees {} {}", request.method(), request.uri());
        Box::pin(async move {
            let read = body::read(request.into_body(), 1 << 20).await;
            let bytes = read.map_err(|error| PodError::Failed {
                reason: error.to_string(),
            })?;
            Ok(Response::new(body::full(bytes)))
        })
    }
}

/// Lets everything pass.
struct Open;

impl Gate for Open {
    fn check(&self, _call: &Call<'_>) -> Verdict {
        Verdict::Allow(Approval::default())
    }

    fn report(&self, _record: &Record<'_>) {}
}

/// A service with a pod, a gateway, and routes with most of what routes can do.
fn mesh(port: &Value, tls: &Value) -> osier_snapshot::Snapshot {
    let meta = |name: &str| json!({"name": name, "namespace": "default", "uid": name});
    let group = "networking.istio.io/v1";
    let to = json!([{"destination": {"host": "echo"}}]);
    let mut server = json!({"port": port, "hosts": ["*"]});
    if tls.is_object() {
        server["tls"] = tls.clone();
    }
    let gateway = object(
        json!({"apiVersion": group, "kind": "Gateway", "metadata": meta("web"), "spec": {"servers": [server]}}),
    );
    let rules = json!([
        {"match": [{"uri": {"prefix": "/rewrite/"}}], "rewrite": {"uri": "/"}, "route": to},
        {"match": [{"uri": {"regex": "/r/[a-z]+"}}], "rewrite": {"uriRegexRewrite": {"match": "[a-z]+", "rewrite": "\\0\\0"}}, "route": to},
        {"match": [{"queryParams": {"q": {"exact": "1"}}}], "redirect": {"uri": "%PREFIX()%/x", "port": 8443}},
        {"match": [{"headers": {"x-a": {"regex": "a+"}}}], "headers": {"request": {"add": {"x-b": "c"}}}, "route": to},
        {"corsPolicy": {"allowOrigins": [{"regex": "https?://[a-z.]+"}]}, "retries": {"attempts": 2, "retryOn": "5xx"}, "route": to}]);
    let routes = object(
        json!({"apiVersion": group, "kind": "VirtualService", "metadata": meta("web"), "spec": {"hosts": ["*"], "gateways": ["web"],
        "http": rules, "tls": [{"match": [{"sniHosts": ["*.example.com"]}], "route": to}]}}),
    );
    let service = object(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": meta("echo"),
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 80}]}}),
    );
    let pod = object(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta("echo-0"), "status": {"podIP": "10.244.0.1"}}),
    );
    let endpoints = object(
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta("echo"), "subsets": [
        {"addresses": [{"ip": "10.244.0.1", "targetRef": {"kind": "Pod", "name": "echo-0"}}], "ports": [{"name": "http", "port": 80}]}]}),
    );
    let inputs = Inputs {
        services: &[service],
        pods: &[pod],
        endpoints: &[endpoints],
        gateways: &[gateway],
        virtual_services: &[routes],
        domain: "cluster.local",
        ..Inputs::default()
    };
    compile(&inputs, None).0
}

fn object(value: Value) -> Arc<osier_api::Object> {
    Arc::new(osier_api::Object::from_value(value).expect("an object"))
}
