//! A server on a free port with certificates of its own, and a kubeconfig for it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response};
use osier_api::{Object, Status};
use osier_apiserver::{
    ApiServer, Image, Images, Listener, NodeAgents, NodeDoors, Sealing, Settings, StoreKind,
    StoreLimits, StorePlace, User, WebhookCall, Webhooks,
};
use osier_identity::{Authority, Credential, Subject, TokenKey};
use osier_kubelet::Question;
use osier_process::body::{self, Body};
use osier_process::clock;
use osier_process::metrics::Metrics;
use osier_process::serve::{Limits, Security, serve};
use osier_process::{Boxed, Tasks};
use serde_json::json;
use tempfile::TempDir;

pub(crate) struct Site {
    pub(crate) folder: TempDir,
    api: Arc<ApiServer>,
    runtime: tokio::runtime::Handle,
}

/// Two lines, one after the other.
struct Lines;

impl Images for Lines {
    fn read<'a>(&'a self, name: &'a str) -> Boxed<'a, Result<Image, Status>> {
        Box::pin(async move {
            Ok(Image {
                bytes: name.to_owned().into(),
                digest: format!("digest of {name}"),
            })
        })
    }
}

impl NodeAgents for Lines {
    fn ask<'a>(
        &'a self,
        _: &'a Object,
        question: Request<Body>,
    ) -> Boxed<'a, Result<Response<Body>, Status>> {
        let uri = question.uri().clone();
        let asked = Question::read(uri.path(), uri.query().unwrap_or_default(), clock::now());
        Box::pin(async move {
            let Question::Logs {
                container, options, ..
            } = asked?
            else {
                return Err(Status::unavailable("logs only"));
            };
            let first = format!("{container} begins, follow={}\n", options.follow);
            let lines = [Ok(first.into()), Ok("and ends\n".into())];
            Ok(osier_kubelet::text(body::stream(futures::stream::iter(
                lines,
            ))))
        })
    }
}

impl Webhooks for Lines {
    fn call(&self, call: WebhookCall) -> Boxed<'_, Result<bytes::Bytes, String>> {
        Box::pin(async move { Err(format!("nobody is at {}", call.host)) })
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(&folder.path().join("pki")).unwrap();
        let server = credential(&authority, "apiserver", &[], &["127.0.0.1"]);
        let admin = credential(&authority, "admin", &["system:masters"], &[]);
        let tasks = Tasks::new();
        let settings = Settings {
            store: StorePlace::Directory(folder.path().join("store"), StoreKind::Sled),
            store_limits: StoreLimits::default(),
            sealing: Sealing::default(),
            service_cidr: "10.96.0.0/12".to_owned(),
            token_key: Arc::new(TokenKey::open(&folder.path().join("pki")).unwrap()),
            audit: None,
        };
        let doors = NodeDoors {
            agents: Arc::new(Lines),
            images: Arc::new(Lines),
            webhooks: Arc::new(Lines),
            metrics: Metrics::new(),
        };
        let api = ApiServer::open(settings, Vec::new(), doors, tasks.clone())
            .await
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let config = kubeconfig(&address, authority.certificate_pem(), &admin);
        std::fs::write(folder.path().join("kubeconfig"), config).unwrap();
        let security = Security::Tls(
            osier_identity::server_config(authority.certificate_pem(), &server).unwrap(),
        );
        let serving = serve(
            listener,
            security,
            Listener(api.clone()),
            tasks.clone(),
            Limits::default(),
        );
        tasks.spawn("api", serving);
        Self {
            folder,
            api,
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// Does what a node agent does when a pod is ready.
    pub(crate) fn make_ready(&self, namespace: &str, name: &str) {
        let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        let request = Request::patch(format!("/api/v1/namespaces/{namespace}/pods/{name}/status"))
            .header("content-type", "application/merge-patch+json")
            .body(body::full(status.to_string()))
            .unwrap();
        let agent = User::new("agent", ["system:nodes"]);
        let answer = self.runtime.block_on(self.api.call(&agent, request));
        assert_eq!(answer.status(), 200);
    }
}

fn credential(authority: &Authority, name: &str, groups: &[&str], names: &[&str]) -> Credential {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let subject = Subject {
        common_name: name.to_owned(),
        organizations: owned(groups),
        names: owned(names),
        spiffe: None,
    };
    authority.issue(&subject).unwrap()
}

fn kubeconfig(address: &str, authority: &str, user: &Credential) -> String {
    let text = |pem: &str| STANDARD.encode(pem);
    let user = json!({
        "client-certificate-data": text(&user.certificate_pem),
        "client-key-data": text(&user.key_pem),
    });
    let cluster = json!({"server": format!("https://{address}"), "certificate-authority-data": text(authority)});
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    })
    .to_string()
}
