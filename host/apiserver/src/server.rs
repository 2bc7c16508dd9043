//! The server as a whole: opened once, called by listeners and by in-process clients alike.

use std::path::PathBuf;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, Response};
use osier_access::{Rules, Tokens, User, check_node_read, impersonated};
use osier_api::{Status, resources};
use osier_identity::TokenKey;
use osier_process::Tasks;
use osier_process::body::Body;
use osier_process::metrics::Metrics;

use crate::admit::{
    Admit, Grants, Hooks, Mutating, NodeRestriction, Pods, Policies, Read, Registered, Requesters,
    Storage, Validating,
};
use crate::agents::NodeAgents;
use crate::audit::{AuditLog, AuditSettings};
use crate::authorize::{self, authorize};
use crate::catalogue::Catalogue;
use crate::images::Images;
use crate::notes::Notes;
use crate::objects;
use crate::query::Query;
use crate::registry::{Quotas, Registry};
use crate::serve;
use crate::strategy::{BadRange, Strategies};
use crate::target::{self, Target};
use crate::webhooks::Webhooks;
use osier_answers::respond;
use osier_store::{
    ClientConfig, EventKind, Limits as StoreLimits, Location, Sealing, Store, StoreError, StoreKind,
};

/// Where the store is.
#[derive(Clone, Debug)]
pub enum StorePlace {
    /// In a directory of this machine, by this engine.
    Directory(PathBuf, StoreKind),
    /// In an etcd, over TLS where there is a configuration. Other servers may have it too.
    Etcd(Location, Option<Arc<ClientConfig>>),
}

/// What a server needs to know.
#[derive(Debug)]
pub struct Settings {
    /// The store.
    pub store: StorePlace,
    /// What the store may hold, and how much history it keeps.
    pub store_limits: StoreLimits,
    /// What is encrypted where it is stored.
    pub sealing: Sealing,
    /// Where services get their addresses, as `10.96.0.0/12`.
    pub service_cidr: String,
    /// Signs the tokens of service accounts.
    pub token_key: Arc<TokenKey>,
    /// Where requests are noted; nowhere if absent.
    pub audit: Option<AuditSettings>,
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
    /// The audit log cannot be written.
    #[error("the audit log cannot be opened: {0}; name another file, or make this one writable")]
    Audit(#[from] std::io::Error),
    /// What the store holds, or must hold, could not be read or written.
    #[error("the API server could not read or prepare its objects: {0}")]
    Objects(#[from] Status),
}

/// What the server asks of node agents.
#[derive(Clone)]
pub struct NodeDoors {
    /// The agents themselves.
    pub agents: Arc<dyn NodeAgents>,
    /// Images of the node beside the server.
    pub images: Arc<dyn Images>,
    /// Programs outside that judge, change and convert objects.
    pub webhooks: Arc<dyn Webhooks>,
    /// What the whole process counts, shown at `/metrics`.
    pub metrics: Metrics,
}

/// The API server.
pub struct ApiServer {
    pub(crate) registry: Arc<Registry>,
    pub(crate) doors: NodeDoors,
    /// Held by who finds out what is to be served.
    pub(crate) settling: tokio::sync::Mutex<()>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) tokens: Tokens,
    audit: Option<AuditLog>,
}

/// Keeps the rules as the roles and bindings of the store have them, before a write is answered.
fn follow_rules(store: &Store, rules: &Arc<Rules>) {
    for resource in [
        &resources::ROLES,
        &resources::CLUSTER_ROLES,
        &resources::ROLE_BINDINGS,
        &resources::CLUSTER_ROLE_BINDINGS,
    ] {
        let rules = Arc::clone(rules);
        store.observe(&objects::prefix(resource, ""), move |event| {
            let (bytes, gone) = match &event.kind {
                EventKind::Put { value, .. } => (value, false),
                EventKind::Delete { previous } => (previous, true),
            };
            match objects::decode(bytes, event.revision) {
                Ok(object) if gone => rules.remove(&object),
                Ok(object) => rules.put(&object),
                Err(error) => tracing::error!(key = %event.key, %error, "a rule cannot be read"),
            }
        });
    }
}

/// Everybody who is asked before an object is stored, in turn: who may change it first, who judges what came of it last.
fn steps(rules: &Arc<Rules>, joined: Vec<Arc<dyn Admit>>, hooks: Hooks) -> Vec<Arc<dyn Admit>> {
    let mut steps: Vec<Arc<dyn Admit>> = vec![
        Arc::new(NodeRestriction),
        Arc::new(Requesters),
        Arc::new(Grants(Arc::clone(rules))),
        Arc::new(Storage),
        Arc::new(Pods),
    ];
    steps.extend(joined);
    let policies = Policies {
        registered: Arc::clone(&hooks.registered),
        rules: Arc::clone(rules),
    };
    steps.push(Arc::new(Mutating(hooks.clone())));
    steps.push(Arc::new(policies));
    steps.push(Arc::new(Validating(hooks)));
    steps
}

async fn open_store(
    place: StorePlace,
    limits: StoreLimits,
    tasks: &Tasks,
) -> Result<Store, OpenError> {
    let (directory, kind) = match place {
        StorePlace::Directory(directory, kind) => (directory, kind),
        StorePlace::Etcd(location, tls) => {
            return Ok(Store::connect(&location, tls, limits).await?);
        }
    };
    let opened = tasks.spawn_blocking("open the store", move || {
        Store::open(&directory, kind, limits)
    });
    let opened = opened.await;
    Ok(opened.map_err(|error| Status::internal(format!("opening the store: {error}")))??)
}

impl ApiServer {
    /// Opens the store and makes sure that the permanent namespaces and the class of gateways are there.
    ///
    /// # Errors
    /// When the store cannot be opened, or the settings are unusable.
    pub async fn open(
        settings: Settings,
        admission: Vec<Arc<dyn Admit>>,
        doors: NodeDoors,
        tasks: Tasks,
    ) -> Result<Arc<Self>, OpenError> {
        let rules = Arc::new(Rules::default());
        let strategies = Strategies::new(&settings.service_cidr)?;
        let tokens = Tokens::new(settings.token_key);
        let audit = settings
            .audit
            .map(|audit| AuditLog::open(audit, &tasks))
            .transpose()?;
        let store = open_store(settings.store, settings.store_limits, &tasks).await?;
        let store = store.sealed(settings.sealing).await?;
        strategies.follow(&store);
        follow_rules(&store, &rules);
        let hooks = Hooks {
            registered: Registered::follow(&store),
            rules: Arc::clone(&rules),
            webhooks: Arc::clone(&doors.webhooks),
        };
        let registry = Arc::new(Registry {
            store,
            strategies,
            admission: steps(&rules, admission, hooks),
            webhooks: Arc::clone(&doors.webhooks),
            tasks,
            quotas: Quotas::default(),
            news: Arc::default(),
            guarded: tokio::sync::Mutex::default(),
            published: tokio::sync::watch::Sender::new(None),
            catalogue: Arc::new(Catalogue::new(Vec::new(), None)).into(),
        });
        let server = Self {
            registry,
            doors,
            settling: tokio::sync::Mutex::default(),
            rules,
            tokens,
            audit,
        };
        server.bootstrap().await?;
        server.settle().await?;
        let server = Arc::new(server);
        server.follow_definitions()?;
        server.seal_anew();
        Ok(server)
    }

    /// Encrypts in the background what is not stored as the rules of encryption say, such as after a new key came.
    fn seal_anew(&self) {
        let (store, stopping) = (self.registry.store.clone(), self.registry.tasks.stopping());
        self.registry.tasks.spawn("encryption", async move {
            let sealed = tokio::select! {
                sealed = store.seal_anew() => sealed,
                () = stopping.cancelled() => return,
            };
            match sealed {
                Ok(0) => {}
                Ok(objects) => tracing::info!(objects, "all objects are stored as the encryption configuration says; keys that are not first in it are no longer needed"),
                Err(error) => tracing::error!(%error, "not all objects are stored as the encryption configuration says; it will be tried at the next start"),
            }
        });
    }

    /// Whether other servers have the same store.
    #[must_use]
    pub fn shares_its_store(&self) -> bool {
        self.registry.store.is_shared()
    }

    /// Answers one request of an authenticated caller. Every failure is a response with a Status in it.
    pub async fn call(&self, user: &User, mut request: Request<Body>) -> Response<Body> {
        if let Some(uri) = target::watched(request.uri()) {
            *request.uri_mut() = uri;
        }
        let target = {
            let catalogue = self.registry.catalogue.load();
            target::parse(request.uri().path(), &|group, version, plural| {
                catalogue.by_plural(group, version, plural)
            })
        };
        let (head, body) = request.into_parts();
        let noted = self.audit.as_ref();
        let noted = noted.and_then(|log| Some((log, log.notes(user, &target, &head)?)));
        let request = Request::from_parts(head, body);
        let (noted, request) = match noted {
            None => (None, request),
            Some((log, noted)) => {
                let (begun, request) = log.begin(noted, (user, &target), request).await;
                (Some((log, begun)), request)
            }
        };
        let (mut head, body) = request.into_parts();
        if head.method == Method::HEAD {
            // Whoever serves the connection sends the head of the answer only.
            head.method = Method::GET;
        }
        let current = self.current(&target, &head).await;
        let admitted = current.and_then(|()| self.admitted(user, &target, &head));
        let allowed = admitted.is_ok();
        let notes = Arc::new(Notes::default());
        let answer = match admitted {
            Ok(user) => {
                let incoming = serve::Incoming::new(head, body, Arc::clone(&notes));
                serve::answer(self, &user, target, incoming).await
            }
            Err(refusal) => Err(refusal),
        };
        let response = answer.unwrap_or_else(|status| respond::status(&status));
        match noted {
            Some((log, begun)) => log.end(begun, (allowed, notes.take()), response).await,
            None => response,
        }
    }

    /// Waits until this server knows what any server acknowledged before; who reads with `resourceVersion=0` takes what there is.
    async fn current(&self, target: &Target, head: &Parts) -> Result<(), Status> {
        let any = || {
            let query = head.uri.query().unwrap_or_default();
            head.method == Method::GET && Query::parse(query).get("resourceVersion") == Some("0")
        };
        if !matches!(target, Target::Resource(_)) || any() {
            return Ok(());
        }
        let caught_up = self.registry.store.catch_up().await;
        caught_up.map_err(|error| objects::unavailable(&error))
    }

    /// The caller as whom the request is answered, if the rules allow it.
    fn admitted(&self, user: &User, target: &Target, head: &Parts) -> Result<User, Status> {
        let user = user.clone().complete();
        let user = impersonated(&self.rules, user, &head.headers)?.complete();
        authorize(&self.rules, &user, target, head)?;
        if let Target::Resource(address) = target {
            let action = authorize::of_resource(address, head);
            let pods = |namespace: &str| Read::list(&*self.registry, &resources::PODS, namespace);
            check_node_read(&user, &action, pods)?;
        }
        Ok(user)
    }

    /// Resolves when the store is of no more use to this process, which should stop then and say why.
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
