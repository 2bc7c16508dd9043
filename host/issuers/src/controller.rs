//! The loop: each RequestAuthentication that names keys elsewhere has them fetched, and again before they are old.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::REQUEST_AUTHENTICATIONS;
use osier_authentication::{Wanted, wanted};
use osier_client::reconcile::{self, Key, Outcome, gone_is_fine};
use osier_client::{Backoff, CONTROLLER, Client, ClientError, Informer, Part, Scope, WorkQueue};
use osier_process::{Tasks, clock};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use crate::fetch::{Fetch, Inside};
use crate::standing::{Known, status};

/// Objects whose issuers are asked at once: one that is silent holds up no other.
const WORKERS: usize = 4;
/// Keys are fetched again after this long, as in Istio; sooner where the issuer says so.
const REFRESH: Duration = Duration::from_secs(20 * 60);
/// And never sooner than this.
const LEAST: Duration = Duration::from_secs(5);
/// An issuer that gives no keys is asked again after this long.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

struct Issuers {
    client: Client,
    rules: Arc<Informer>,
    fetch: Fetch,
    /// What was fetched, by its URI: issuers that many objects name are asked once. Bounded by what the objects name.
    known: Mutex<HashMap<String, Tried>>,
}

/// The last try.
#[derive(Clone)]
struct Tried {
    result: Result<String, String>,
    failures: u32,
    /// When the next one is due.
    next: Instant,
}

/// Starts the controller; it ends when the tasks stop.
pub fn start(client: Client, inside: Arc<dyn Inside>, tasks: &Tasks) {
    let rules = Informer::start(
        client.clone(),
        &REQUEST_AUTHENTICATIONS,
        Scope::default(),
        tasks,
    );
    let queue = WorkQueue::new(CONTROLLER);
    let own = queue.clone();
    rules.on_change(move |change| own.add(Key::of(change.object())));
    let this = Arc::new(Issuers {
        client,
        rules,
        fetch: Fetch::new(inside, tasks.clone()),
        known: Mutex::default(),
    });
    reconcile::run("issuers", &queue, (WORKERS, tasks), move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

impl Issuers {
    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        self.rules.synced().await;
        let Some(object) = self.rules.get(&key.namespace, &key.name) else {
            self.forget();
            return Ok(Outcome::Done);
        };
        let (mut known, mut next) = (Vec::new(), None);
        for wanted in wanted(&object) {
            let tried = self.tried(&wanted).await;
            known.push(Known::after(&object, &wanted, tried.result));
            next = Some(next.map_or(tried.next, |next: Instant| next.min(tried.next)));
        }
        self.write(&object, &known).await?;
        Ok(next.map_or(Outcome::Done, |next| {
            Outcome::Again(next.saturating_duration_since(Instant::now()))
        }))
    }

    /// What is known of a key set, which is fetched if that is due.
    async fn tried(&self, wanted: &Wanted) -> Tried {
        let before = self.known.lock().get(&wanted.uri).cloned();
        let failures = match before {
            Some(before) if before.next > Instant::now() => return before,
            Some(before) => before.failures,
            None => 0,
        };
        let fetched = self.fetch.key_set(wanted).await;
        let (result, failures, wait) = match fetched {
            Ok(fetched) => {
                let holds = fetched.holds.unwrap_or(REFRESH);
                (Ok(fetched.jwks), 0, holds.clamp(LEAST, REFRESH))
            }
            Err(reason) => {
                let uri = wanted.uri.as_str();
                tracing::warn!(uri, reason, "the keys of an issuer cannot be fetched");
                (Err(reason), failures + 1, RETRY.after(failures + 1))
            }
        };
        let tried = Tried {
            result,
            failures,
            next: Instant::now() + wait,
        };
        let mut known = self.known.lock();
        known.insert(wanted.uri.clone(), tried.clone());
        tried
    }

    /// Forgets what no object names any more.
    fn forget(&self) {
        let objects = self.rules.list();
        let named = objects.iter().flat_map(|object| wanted(object));
        let named: BTreeSet<String> = named.map(|wanted| wanted.uri).collect();
        self.known.lock().retain(|uri, _| named.contains(uri));
    }

    async fn write(&self, object: &Object, known: &[Known]) -> Result<(), ClientError> {
        let now = clock::seconds(clock::now());
        let Some(status) = status(object, known, &now) else {
            return Ok(());
        };
        let version = object.resource_version().to_string();
        let metadata = json!({"uid": object.uid(), "resourceVersion": version});
        let patch = json!({"metadata": metadata, "status": status});
        let of = (object.namespace(), object.name());
        let resource = &REQUEST_AUTHENTICATIONS;
        gone_is_fine(self.client.patch(resource, of, patch, Part::Status).await)
    }
}
