//! What the API server reads: bodies in every format, patches of every kind, selectors, tokens of pages.

use http::Request;
use osier_api::selector::{FieldSelector, LabelSelector};
use osier_api::{Object, Status, patch as patches, resources};
use osier_apiserver::{
    ApiServer, Image, Images, NodeAgents, NodeDoors, Sealing, Settings, StoreKind, StoreLimits,
    StorePlace, User, WebhookCall, Webhooks,
};
use osier_identity::TokenKey;
use osier_process::body::{self, Body};
use osier_process::metrics::Metrics;
use osier_process::{Boxed, Tasks};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What is asked with the bytes as a body: the method, the path, the type. Nothing is stored: each is a dry run.
const WRITES: &[(&str, &str, &str)] = &[
    (
        "POST",
        "/api/v1/namespaces/default/configmaps",
        "application/json",
    ),
    (
        "POST",
        "/api/v1/namespaces/default/pods",
        "application/yaml",
    ),
    (
        "POST",
        "/api/v1/namespaces/default/services",
        "application/vnd.kubernetes.protobuf",
    ),
    (
        "PATCH",
        "/apis/apps/v1/namespaces/default/deployments/web",
        "application/json-patch+json",
    ),
    (
        "PATCH",
        "/apis/apps/v1/namespaces/default/deployments/web",
        "application/merge-patch+json",
    ),
    (
        "PATCH",
        "/apis/apps/v1/namespaces/default/deployments/web",
        "application/strategic-merge-patch+json",
    ),
    (
        "PATCH",
        "/apis/apps/v1/namespaces/default/deployments/web",
        "application/apply-patch+yaml",
    ),
    (
        "PUT",
        "/apis/apps/v1/namespaces/default/deployments/web",
        "application/json",
    ),
    (
        "POST",
        "/apis/networking.istio.io/v1/namespaces/default/virtualservices",
        "application/yaml",
    ),
    (
        "POST",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "application/yaml",
    ),
    (
        "DELETE",
        "/apis/apps/v1/namespaces/default/deployments/web",
        "application/json",
    ),
];
/// Parameters of a list that the bytes are the value of.
const READS: &[&str] = &[
    "labelSelector",
    "fieldSelector",
    "continue",
    "resourceVersion",
    "limit",
];

thread_local! {
    static SERVER: Server = Server::open();
}

/// The first byte says what is asked, the rest is the body, or a parameter of a list.
pub(crate) fn request(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let choice = usize::from(*first) % (WRITES.len() + READS.len() + 1);
    let request = if let Some((method, path, kind)) = WRITES.get(choice) {
        let apply = if kind.contains("apply-patch") {
            "&fieldManager=fuzz&force=true"
        } else {
            ""
        };
        Request::builder()
            .method(*method)
            .uri(format!("{path}?dryRun=All{apply}"))
            .header("content-type", *kind)
            .body(body::full(rest.to_vec()))
    } else if let Some(name) = READS.get(choice - WRITES.len()) {
        let value: String = form_urlencoded::byte_serialize(rest).collect();
        let uri = format!("/apis/apps/v1/namespaces/default/deployments?{name}={value}");
        Request::get(uri).body(body::empty())
    } else {
        Request::get(rest).body(body::empty())
    };
    // Bytes that are no URI do not reach the server.
    let Ok(request) = request else { return };
    SERVER.with(|server| server.ask(request));
}

/// A server of its own, with one deployment.
struct Server {
    runtime: Runtime,
    api: Arc<ApiServer>,
    _folder: TempDir,
}

impl Server {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            store: StorePlace::Directory(folder.path().join("store"), StoreKind::Redb),
            store_limits: StoreLimits::default(),
            sealing: Sealing::default(),
            service_cidr: "10.96.0.0/12".to_owned(),
            token_key: Arc::new(TokenKey::open(&folder.path().join("pki")).expect("a key")),
            audit: None,
        };
        let doors = NodeDoors {
            agents: Arc::new(Nobody),
            images: Arc::new(Nobody),
            webhooks: Arc::new(Nobody),
            metrics: Metrics::new(),
        };
        let opened = ApiServer::open(settings, Vec::new(), doors, Tasks::new());
        let api = runtime.block_on(opened).expect("a server");
        let server = Self {
            runtime,
            api,
            _folder: folder,
        };
        let labels = json!({"app": "web"});
        let container = json!({"name": "web", "image": "web:1", "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}]});
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}});
        let made = Request::post("/apis/apps/v1/namespaces/default/deployments")
            .header("content-type", "application/json")
            .body(body::full(deployment.to_string()));
        server.ask(made.expect("a request"));
        server
    }

    /// A server may refuse whatever it likes, but it may not fail.
    fn ask(&self, request: Request<Body>) {
        let user = User::new("admin", ["system:masters"]);
        let watches = request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch"));
        let asked = format!("{} {}", request.method(), request.uri());
        let (status, text) = self.runtime.block_on(async {
            let (head, answer) = self.api.call(&user, request).await.into_parts();
            // The answer to a watch has no end.
            let read = if watches {
                Ok(bytes::Bytes::new())
            } else {
                body::read(answer, 64 << 20).await
            };
            (head.status, read.expect("the server's own answer"))
        });
        let failed = status.as_u16() >= 500 && status.as_u16() != 501;
        assert!(
            !failed,
            "{asked}: {status}: {}",
            String::from_utf8_lossy(&text)
        );
    }
}

/// No nodes and no images.
struct Nobody;

impl Images for Nobody {
    fn read<'a>(&'a self, _name: &'a str) -> Boxed<'a, Result<Image, Status>> {
        Box::pin(async { Err(Status::new(404, "NotFound", "no such image")) })
    }
}

impl Webhooks for Nobody {
    fn call(&self, _call: WebhookCall) -> Boxed<'_, Result<bytes::Bytes, String>> {
        Box::pin(async { Err("nobody is there".to_owned()) })
    }
}

impl NodeAgents for Nobody {
    fn ask<'a>(
        &'a self,
        _node: &'a Object,
        _question: Request<Body>,
    ) -> Boxed<'a, Result<http::Response<Body>, Status>> {
        Box::pin(async { Err(Status::new(404, "NotFound", "no such node")) })
    }
}

/// Two documents, a line between them: the second changes the first in each of the three ways.
pub(crate) fn patch(bytes: &[u8]) {
    let Some(line) = bytes.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let read = |text: &[u8]| serde_json::from_slice::<Value>(text);
    let (Ok(target), Ok(patch)) = (read(&bytes[..line]), read(&bytes[line + 1..])) else {
        return;
    };
    let _refused = patches::json(&target, &patch);
    if let Ok(merged) = patches::merge(&target, &patch) {
        let again = patches::merge(&merged, &patch).expect("what was merged once");
        assert_eq!(again, merged, "a merge patch a second time changes nothing");
    }
    let pods = resources::by_plural("", "v1", "pods").expect("pods");
    let _refused = patches::strategic(pods, &target, &patch);
}

/// A selector that is read can be asked.
pub(crate) fn selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let labels = json!({"metadata": {"name": "web", "labels": {"app": "web", "n": "3"}}, "status": {"phase": "Running"}});
    let object = Object::from_value(labels).expect("an object");
    if let Ok(selector) = LabelSelector::parse(text) {
        let _matches = selector.matches(&object.labels());
    }
    let _fields = FieldSelector::parse(text);
}

/// A body in protobuf is read or refused.
pub(crate) fn protobuf(bytes: &[u8]) {
    if let Err(refusal) = osier_protobuf::decode(bytes) {
        assert!([400, 415].contains(&refusal.code), "{refusal:?}");
    }
}
