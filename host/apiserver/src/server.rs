//! The server as a whole: opened once, called by listeners and by in-process clients alike.

use std::path::PathBuf;
use std::sync::Arc;

use http::{Request, Response};
use osier_api::resources::{gateway_api, networking};
use osier_api::{Object, Status, resources};
use osier_process::Tasks;
use osier_process::body::Body;

use crate::admit::Admit;
use crate::discovery;
use crate::logs::PodLogs;
use crate::objects;
use crate::openapi;
use crate::query::{FieldValidation, WriteOptions};
use crate::registry::{Registry, Write};
use crate::respond;
use crate::serve;
use crate::store::{Limits as StoreLimits, Store, StoreError, StoreKind};
use crate::strategy::{BadRange, Strategies};
use crate::target::{self, Address, Target};
use crate::user::User;

/// Namespaces that are there from the start.
const NAMESPACES: [&str; 5] = [
    "default",
    "kube-system",
    "kube-node-lease",
    "kube-public",
    "osier-system",
];

/// The class of gateways that are served here, of the Gateway API and of Ingress alike.
const CLASS: &str = "osier";

/// Who serves the class `osier`.
const CONTROLLER: &str = "osier.dev/gateway-controller";

/// Who serves the class `osier` of ingresses.
const INGRESS_CONTROLLER: &str = "osier.dev/ingress-controller";

/// Marks the class of ingresses that name none.
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// What a server needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the store.
    pub store_dir: PathBuf,
    /// The engine of the store.
    pub store: StoreKind,
    /// What the store may hold, and how much history it keeps.
    pub store_limits: StoreLimits,
    /// Where services get their addresses, as `10.96.0.0/12`.
    pub service_cidr: String,
}

/// Why a server cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The range for services is not usable.
    #[error("service_cidr: {0}")]
    ServiceRange(#[from] BadRange),
    /// What the store holds, or must hold, could not be read or written.
    #[error("the API server could not read or prepare its objects: {0}")]
    Objects(#[from] Status),
}

/// The API server.
pub struct ApiServer {
    pub(crate) registry: Arc<Registry>,
    pub(crate) logs: Arc<dyn PodLogs>,
    pub(crate) discovery: discovery::Documents,
    pub(crate) openapi: openapi::Documents,
}

impl ApiServer {
    /// Opens the store and makes sure that the permanent namespaces and the class of gateways are there.
    ///
    /// # Errors
    /// When the store cannot be opened, or the settings are unusable.
    pub async fn open(
        settings: Settings,
        admission: Vec<Arc<dyn Admit>>,
        logs: Arc<dyn PodLogs>,
        tasks: Tasks,
    ) -> Result<Arc<Self>, OpenError> {
        let strategies = Strategies::new(&settings.service_cidr)?;
        let (directory, kind, limits) = (settings.store_dir, settings.store, settings.store_limits);
        let opened = tasks
            .spawn_blocking("open the store", move || {
                Store::open(&directory, kind, limits)
            })
            .await;
        let store =
            opened.map_err(|error| Status::internal(format!("opening the store: {error}")))??;
        let (_, entries) = store.list(&objects::prefix(&resources::SERVICES, ""));
        let services: Result<Vec<Object>, Status> = entries.iter().map(objects::read).collect();
        strategies.restore(services?.iter());
        let registry = Arc::new(Registry {
            store,
            strategies,
            admission,
            tasks,
        });
        let server = Self {
            registry,
            logs,
            discovery: discovery::Documents::new(),
            openapi: openapi::Documents::new(),
        };
        server.create_permanent().await?;
        Ok(Arc::new(server))
    }

    async fn create_permanent(&self) -> Result<(), Status> {
        for name in NAMESPACES {
            let object = Object::new(&resources::NAMESPACES, "", name);
            self.create("/api/v1/namespaces", object).await?;
        }
        let mut class = Object::new(&gateway_api::GATEWAY_CLASSES, "", CLASS);
        class.set(&["spec", "controllerName"], CONTROLLER.into());
        let classes = "/apis/gateway.networking.k8s.io/v1/gatewayclasses";
        self.create(classes, class).await?;
        let mut class = Object::new(&networking::INGRESS_CLASSES, "", CLASS);
        class.set(&["spec", "controller"], INGRESS_CONTROLLER.into());
        // Ingresses that name no class are meant for who is there.
        class.set(&["metadata", "annotations", DEFAULT_CLASS], "true".into());
        let classes = "/apis/networking.k8s.io/v1/ingressclasses";
        self.create(classes, class).await
    }

    /// Creates an object unless it is there.
    async fn create(&self, path: &str, object: Object) -> Result<(), Status> {
        let user = User::new("system:apiserver", ["system:masters"]);
        let options = WriteOptions {
            dry_run: false,
            validation: FieldValidation::Strict,
        };
        let Target::Resource(address) = target::parse(path) else {
            return Ok(());
        };
        let mut write = Write::new(&user, &address, options);
        match self.registry.create(&mut write, object, &[]).await {
            Err(status) if !status.is("AlreadyExists") => Err(status),
            _ => Ok(()),
        }
    }

    /// Answers one request of an authenticated caller. Every failure is a response with a Status in it.
    pub async fn call(&self, user: &User, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let target = target::parse(head.uri.path());
        let answer =
            match refuse_impersonation(&head).and_then(|()| authorize(user, &target, &head)) {
                Ok(()) => serve::answer(self, user, target, serve::Incoming::new(head, body)).await,
                Err(refusal) => Err(refusal),
            };
        answer.unwrap_or_else(|status| respond::status(&status))
    }

    /// Resolves when the store could not write to its disk: the process should stop then, and say why.
    pub async fn failed(&self) -> StoreError {
        self.registry.store.failed().await
    }

    /// Writes what is under way and closes the store. Later calls are refused.
    ///
    /// # Errors
    /// When the store cannot be closed cleanly.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.registry.store.clone().close().await
    }
}

/// Whether a path is open to everybody.
pub(crate) fn public(target: &Target) -> bool {
    matches!(target, Target::Health | Target::Version)
}

/// `kubectl --as` asks to be somebody with fewer rights: answering as the caller would be a lie.
fn refuse_impersonation(head: &http::request::Parts) -> Result<(), Status> {
    if head
        .headers
        .keys()
        .any(|name| name.as_str().starts_with("impersonate-"))
    {
        let words = "impersonation is not served by this version of Osier: leave out --as, --as-group and --as-uid";
        return Err(Status::new(403, "Forbidden", words));
    }
    Ok(())
}

/// Trusted groups may do everything, others may only see that the server is there.
fn authorize(user: &User, target: &Target, head: &http::request::Parts) -> Result<(), Status> {
    if user.trusted() || public(target) {
        return Ok(());
    }
    let name = &user.name;
    match target {
        Target::Resource(address) => {
            let detail = format!("User {name:?} cannot {}", action(address, head));
            Err(Status::forbidden(address.resource, &address.name, &detail))
        }
        _ => {
            let (verb, path) = (head.method.as_str().to_lowercase(), head.uri.path());
            let words = format!("forbidden: User {name:?} cannot {verb} path {path:?}");
            Err(Status::new(403, "Forbidden", words))
        }
    }
}

fn action(address: &Address, head: &http::request::Parts) -> String {
    let verb = match head.method.as_str() {
        "GET" if address.name.is_empty() => "list",
        "GET" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if address.name.is_empty() => "deletecollection",
        _ => "delete",
    };
    let what = match address.subresource.as_str() {
        "" => address.resource.plural.to_owned(),
        part => format!("{}/{part}", address.resource.plural),
    };
    let place = match address.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    format!(
        "{verb} resource {what:?} in API group {:?} {place}",
        address.resource.group
    )
}
