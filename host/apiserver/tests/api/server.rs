//! A server of one's own, and requests in one line.

use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use osier_api::{Object, Status};
use osier_apiserver::{
    Admit, Admitted, ApiServer, AuditPolicy, AuditSettings, Image, Images, NodeAgents, NodeDoors,
    Operation, Review, Sealing, Settings, StoreKind, StoreLimits, StorePlace, User,
};
use osier_identity::TokenKey;
use osier_kubelet::Question;
use osier_process::body::{self, Body};
use osier_process::clock;
use osier_process::metrics::Metrics;
use osier_process::{Boxed, Tasks};
use osier_tests::etcd::Etcd;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::programs::Programs;

pub(crate) struct Server {
    pub(crate) api: Arc<ApiServer>,
    /// What stands outside and is asked.
    pub(crate) programs: Arc<Programs>,
    pub(crate) tasks: Tasks,
    pub(crate) folder: TempDir,
}

pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.headers
            .get_all("warning")
            .iter()
            .map(|line| line.to_str().unwrap())
            .collect()
    }

    /// The object, of an answer that must be good.
    pub(crate) fn good(&self) -> Value {
        assert!(self.code < 300, "{}: {}", self.code, self.text);
        self.json()
    }
}

/// Images that are their names.
struct Remembers;

/// Agents that say what they were asked for; node `n1` remembers one call, and has one pod.
struct Agents;

impl Images for Remembers {
    fn read<'a>(&'a self, name: &'a str) -> Boxed<'a, Result<Image, Status>> {
        Box::pin(async move {
            Ok(Image {
                bytes: name.to_owned().into(),
                digest: format!("digest of {name}"),
            })
        })
    }
}

impl NodeAgents for Agents {
    fn ask<'a>(
        &'a self,
        node: &'a Object,
        question: Request<Body>,
    ) -> Boxed<'a, Result<Response<Body>, Status>> {
        let uri = question.uri().clone();
        let asked = Question::read(uri.path(), uri.query().unwrap_or_default(), clock::now());
        Box::pin(async move {
            if node.name() != "n1" {
                return Err(Status::new(404, "NotFound", "no such node"));
            }
            Ok(match asked? {
                Question::Logs {
                    pod,
                    container,
                    options,
                } => {
                    osier_kubelet::text(body::full(format!("{} {container} {options:?}", pod.name)))
                }
                Question::Decisions(id) => {
                    osier_kubelet::json(&json!({"calls": [{"requestId": id}]}))
                }
                Question::Summary => osier_kubelet::json(&summary()),
                Question::PortForward(pod) => osier_kubelet::json(&pod.name),
                Question::Exec {
                    container, options, ..
                } => osier_kubelet::text(body::full(format!("exec {container} {options:?}"))),
                Question::Attach {
                    container, options, ..
                } => osier_kubelet::text(body::full(format!("attach {container} {options:?}"))),
            })
        })
    }
}

/// What the node tells of itself; its pods are the caller's to find.
fn summary() -> Value {
    json!({"node": {"nodeName": "n1", "cpu": {"usageNanoCores": 5, "window": 10_000}, "memory": {"workingSetBytes": 2048}}, "pods": []})
}

/// Admission that refuses one label and answers another.
struct Doorman;

impl Admit for Doorman {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(async move {
            let object = review.new.or(review.old).unwrap();
            if object.label("doorman") == Some("refuse") {
                return Err(Status::forbidden(
                    review.resource,
                    object.name(),
                    "the doorman says no",
                ));
            }
            if review.operation == Operation::Delete || object.label("doorman") != Some("change") {
                return Ok(Admitted::default());
            }
            let mut changed = object.clone();
            changed.set(
                &["metadata", "annotations", "seen-by"],
                json!(review.user.name),
            );
            Ok(Admitted {
                object: Some(changed),
                warnings: vec!["the doorman changed it".to_owned()],
            })
        })
    }
}

impl Server {
    pub(crate) async fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn at(folder: TempDir) -> Self {
        let store = StorePlace::Directory(folder.path().join("store"), StoreKind::Redb);
        Self::with(folder, store, None).await
    }

    /// A server that notes what a policy says.
    pub(crate) async fn auditing(rules: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = StorePlace::Directory(folder.path().join("store"), StoreKind::Redb);
        let file = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules});
        Self::with(folder, store, Some(AuditPolicy::from_value(file).unwrap())).await
    }

    /// A server that may have others beside it.
    pub(crate) async fn on(etcd: &Etcd) -> Self {
        let store = StorePlace::Etcd(etcd.location().parse().unwrap(), None);
        Self::with(tempfile::tempdir().unwrap(), store, None).await
    }

    async fn with(folder: TempDir, store: StorePlace, policy: Option<AuditPolicy>) -> Self {
        let tasks = Tasks::new();
        let settings = Settings {
            store,
            store_limits: StoreLimits::default(),
            sealing: Sealing::default(),
            service_cidr: "10.96.0.0/12".to_owned(),
            token_key: Arc::new(TokenKey::open(&folder.path().join("pki")).unwrap()),
            audit: Some(AuditSettings {
                path: folder.path().join("audit.log"),
                limit: 1024 * 1024,
                policy,
            }),
        };
        let programs = Arc::new(Programs::default());
        let api = ApiServer::open(
            settings,
            vec![Arc::new(Doorman)],
            NodeDoors {
                agents: Arc::new(Agents),
                images: Arc::new(Remembers),
                webhooks: programs.clone(),
                metrics: Metrics::new(),
            },
            tasks.clone(),
        )
        .await
        .unwrap();
        Self {
            api,
            programs,
            tasks,
            folder,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        self.send_as(&User::new("admin", ["system:masters"]), request)
            .await
    }

    pub(crate) async fn send_as(&self, user: &User, request: Request<Body>) -> Answer {
        let (head, answer) = self.api.call(user, request).await.into_parts();
        let bytes = body::read(answer, usize::MAX).await.unwrap();
        Answer {
            code: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// Ends the server, and tells the lines of its audit log.
    pub(crate) async fn audited(&self) -> Vec<Value> {
        let patience = std::time::Duration::from_secs(30);
        self.tasks.drained(patience).await.unwrap();
        let text = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path, "", "")).await
    }

    pub(crate) async fn accepting(&self, path: &str, accept: &str) -> Answer {
        let mut request = request("GET", path, "", "");
        request
            .headers_mut()
            .insert("accept", accept.parse().unwrap());
        self.send(request).await
    }

    pub(crate) async fn post(&self, path: &str, value: Value) -> Answer {
        self.send(request(
            "POST",
            path,
            "application/json",
            &value.to_string(),
        ))
        .await
    }

    pub(crate) async fn put(&self, path: &str, value: Value) -> Answer {
        self.send(request("PUT", path, "application/json", &value.to_string()))
            .await
    }

    pub(crate) async fn merge(&self, path: &str, value: Value) -> Answer {
        self.send(request(
            "PATCH",
            path,
            "application/merge-patch+json",
            &value.to_string(),
        ))
        .await
    }

    pub(crate) async fn delete(&self, path: &str, options: Value) -> Answer {
        self.send(request(
            "DELETE",
            path,
            "application/json",
            &options.to_string(),
        ))
        .await
    }
}

pub(crate) fn request(method: &str, path: &str, media: &str, content: &str) -> Request<Body> {
    let mut builder = Request::builder()
        .method(method)
        .uri(path.replace(' ', "%20"));
    if !media.is_empty() {
        builder = builder.header("content-type", media);
    }
    builder.body(body::full(content.to_owned())).unwrap()
}

pub(crate) const MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";

pub(crate) fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "x"}},
        "spec": {"containers": [{"name": "c", "image": "hello"}]},
    })
}

pub(crate) fn controller(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name},
        "spec": {
            "replicas": 1, "selector": {"app": "x"},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    })
}
