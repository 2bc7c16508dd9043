//! The server as a whole: opened once, called by listeners and by in-process clients alike.

use std::path::PathBuf;
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response};
use osier_access::{Rules, Tokens, User, check_node_read, impersonated};
use osier_api::{Object, Status, resources};
use osier_identity::TokenKey;
use osier_process::Tasks;
use osier_process::body::Body;

use crate::admit::{Admit, Grants, Limits, NodeRestriction, Read, Requesters};
use crate::agents::NodeAgents;
use crate::audit::{self, AuditLog, AuditSettings};
use crate::authorize::{self, authorize};
use crate::catalogue::Catalogue;
use crate::images::Images;
use crate::objects;
use crate::registry::{Quotas, Registry};
use crate::respond;
use crate::serve;
use crate::strategy::{BadRange, Strategies};
use crate::target::{self, Target};
use osier_store::{Limits as StoreLimits, Store, StoreError, StoreKind};

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

/// Takes the roles and bindings of the store.
fn restore_rules(store: &Store, rules: &Rules) -> Result<(), Status> {
    for resource in [
        &resources::ROLES,
        &resources::CLUSTER_ROLES,
        &resources::ROLE_BINDINGS,
        &resources::CLUSTER_ROLE_BINDINGS,
    ] {
        let (_, entries) = store.list(&objects::prefix(resource, ""));
        for entry in &entries {
            rules.put(&objects::read(entry)?);
        }
    }
    Ok(())
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
        let strategies = Strategies::new(&settings.service_cidr, rules.clone())?;
        let tokens = Tokens::new(settings.token_key);
        let audit = settings
            .audit
            .map(|audit| AuditLog::open(audit, &tasks))
            .transpose()?;
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
        restore_rules(&store, &rules)?;
        let mut steps: Vec<Arc<dyn Admit>> = vec![
            Arc::new(NodeRestriction),
            Arc::new(Requesters),
            Arc::new(Grants(rules.clone())),
            Arc::new(Limits),
        ];
        steps.extend(admission);
        let registry = Arc::new(Registry {
            store,
            strategies,
            admission: steps,
            tasks,
            quotas: Quotas::default(),
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
        Ok(Arc::new(server))
    }

    /// Answers one request of an authenticated caller. Every failure is a response with a Status in it.
    pub async fn call(&self, user: &User, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let target = {
            let catalogue = self.registry.catalogue.load();
            target::parse(head.uri.path(), &|group, version, plural| {
                catalogue.by_plural(group, version, plural)
            })
        };
        let noted = self
            .audit
            .as_ref()
            .filter(|_| audit::worth(user, &target, &head.method));
        let begun = noted.map(|log| log.begin(user, &target, &head));
        let admitted = self.admitted(user, &target, &head);
        let allowed = admitted.is_ok();
        let answer = match admitted {
            Ok(user) => serve::answer(self, &user, target, serve::Incoming::new(head, body)).await,
            Err(refusal) => Err(refusal),
        };
        let response = answer.unwrap_or_else(|status| respond::status(&status));
        if let Some((log, begun)) = noted.zip(begun) {
            log.end(begun, allowed, &response);
        }
        response
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
