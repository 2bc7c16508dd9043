//! What every namespace has: the ServiceAccount `default`, and the ConfigMap `kube-root-ca.crt` with the certificate by which
//! pods know the API server. Upstream's service account controller and root CA publisher in one.

use std::sync::Arc;
use std::time::Duration;

use osier_api::resources::{CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS};
use osier_api::{Object, Resource};
use osier_client::{Backoff, Client, ClientError, Informer, Part, WorkQueue};
use serde_json::json;

use crate::Context;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};

const WORKERS: usize = 2;
/// Whom pods are that name no account.
const ACCOUNT: &str = "default";
/// Where clients in pods look for whom to trust.
const TRUSTED: &str = "kube-root-ca.crt";
/// The key in it.
const CERTIFICATE: &str = "ca.crt";

struct Defaults {
    client: Client,
    namespaces: Arc<Informer>,
    /// The certificate of the cluster's authority, PEM.
    authority: String,
}

/// Starts the controller.
pub(crate) fn start(context: &Context, authority: String) {
    let informers = &context.informers;
    let Some(namespaces) = informers.of(&NAMESPACES) else {
        return;
    };
    let this = Arc::new(Defaults {
        client: context.client.clone(),
        namespaces: Arc::clone(namespaces),
        authority,
    });
    let queue = WorkQueue::new(Backoff::new(
        Duration::from_millis(50),
        Duration::from_secs(10),
    ));
    let own = queue.clone();
    namespaces.on_change(move |change| {
        if !change.is_deleted() {
            own.add(Key::of(change.object()));
        }
    });
    listen(informers.of(&SERVICE_ACCOUNTS), ACCOUNT, &queue);
    listen(informers.of(&CONFIG_MAPS), TRUSTED, &queue);
    let run = (WORKERS, &context.tasks);
    reconcile::run("namespace-defaults", &queue, run, move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

/// Looks at a namespace again when its object of this name is changed or deleted.
fn listen(informer: Option<&Arc<Informer>>, name: &'static str, queue: &WorkQueue<Key>) {
    let queue = queue.clone();
    if let Some(informer) = informer {
        informer.on_change(move |change| {
            if change.object().name() == name {
                queue.add(Key::new("", change.object().namespace()));
            }
        });
    }
}

impl Defaults {
    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        let namespace = self.namespaces.get("", &key.name);
        if namespace.is_none_or(|namespace| namespace.deletion_timestamp().is_some()) {
            return Ok(Outcome::Done);
        }
        let account = Object::new(&SERVICE_ACCOUNTS, &key.name, ACCOUNT);
        self.ensure(&SERVICE_ACCOUNTS, account).await?;
        let trusted = trusted(&key.name, &self.authority);
        let Some(found) = self.ensure(&CONFIG_MAPS, trusted).await? else {
            return Ok(Outcome::Done);
        };
        if found.text(&["data", CERTIFICATE]) != self.authority {
            let patch = json!({"data": {CERTIFICATE: self.authority}});
            let of = (key.name.as_str(), TRUSTED);
            let client = &self.client;
            gone_is_fine(client.patch(&CONFIG_MAPS, of, patch, Part::Whole).await)?;
        }
        Ok(Outcome::Done)
    }

    /// The object as it is, if it was there; otherwise it is made.
    async fn ensure(
        &self,
        resource: &'static Resource,
        wanted: Object,
    ) -> Result<Option<Object>, ClientError> {
        let found = self
            .client
            .get(resource, wanted.namespace(), wanted.name())
            .await;
        match found {
            Err(error) if error.is_not_found() => {}
            found => return found.map(Some),
        }
        match self.client.create(resource, &wanted).await {
            // The namespace is leaving, or gone: it needs nothing more. A change of it brings the key back.
            Err(error) if error.is_not_found() || error.code() == Some(403) => Ok(None),
            created => created.map(|_| None),
        }
    }
}

fn trusted(namespace: &str, authority: &str) -> Object {
    let mut map = Object::new(&CONFIG_MAPS, namespace, TRUSTED);
    let about = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";
    map.set(
        &["metadata", "annotations", "kubernetes.io/description"],
        about.into(),
    );
    map.set(&["data", CERTIFICATE], authority.into());
    map
}
