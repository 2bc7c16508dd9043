//! The endpoints controller: which pods stand behind a service, ready or not, at which ports.

mod folded;
mod slices;
mod subsets;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES};
use osier_client::{CONTROLLER, Change, Client, ClientError, DeleteOptions, Informer, WorkQueue};
use parking_lot::Mutex;
use serde_json::Value;

use crate::Context;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};
pub(crate) use folded::fold;
use folded::unfold;
use subsets::{concerns, has_selector, subsets};

const WORKERS: usize = 4;
/// What is written of a service is as long as it has pods, and each that comes or goes changes it: for each thousand of them this
/// passes before it is written again, and no more than a second.
const CALM: Duration = Duration::from_millis(100);

struct Endpoints {
    client: Client,
    services: Arc<Informer>,
    pods: Arc<Informer>,
    endpoints: Arc<Informer>,
    slices: Arc<Informer>,
    /// Services that went, until their endpoints did: those that nobody's service ever had are somebody's own.
    gone: Mutex<BTreeSet<(String, String)>>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let informers = &context.informers;
    let (Some(services), Some(pods)) = (informers.of(&SERVICES), informers.of(&PODS)) else {
        return;
    };
    let (Some(endpoints), Some(slices)) =
        (informers.of(&ENDPOINTS), informers.of(&ENDPOINT_SLICES))
    else {
        return;
    };
    let this = Arc::new(Endpoints {
        client: context.client.clone(),
        services: Arc::clone(services),
        pods: Arc::clone(pods),
        endpoints: Arc::clone(endpoints),
        slices: Arc::clone(slices),
        gone: Mutex::default(),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    reconcile::run("endpoints", &queue, (WORKERS, &context.tasks), move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

impl Endpoints {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Key>) {
        let this = Arc::downgrade(self);
        self.services.on_change(move |change| {
            if let (Change::Deleted(service), Some(this)) = (change, this.upgrade()) {
                let name = (service.namespace().to_owned(), service.name().to_owned());
                this.gone.lock().insert(name);
            }
        });
        for informer in [&self.services, &self.endpoints] {
            let queue = queue.clone();
            informer.on_change(move |change| queue.add(Key::of(change.object())));
        }
        let of_slices = queue.clone();
        self.slices.on_change(move |change| {
            let slice = change.object();
            if let Some(service) = slice.label(slices::SERVICE_NAME) {
                of_slices.add(Key::new(slice.namespace(), service));
            }
        });
        let (queue, services) = (queue.clone(), Arc::clone(&self.services));
        self.pods.on_change(move |change| {
            for service in services.list_in(change.object().namespace()) {
                if concerns(&service, change) {
                    queue.add(Key::of(&service));
                }
            }
        });
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        for informer in [&self.services, &self.pods, &self.endpoints, &self.slices] {
            informer.synced().await;
        }
        let service = self.services.get(&key.namespace, &key.name);
        let current = self.endpoints.get(&key.namespace, &key.name);
        self.slice(key, service.as_deref()).await?;
        let name = (key.namespace.clone(), key.name.clone());
        let went = self.gone.lock().contains(&name);
        match (service, current) {
            (None, Some(current)) if went => {
                let options = DeleteOptions::exactly(&current);
                gone_is_fine(self.client.delete(&ENDPOINTS, key.pair(), &options).await)?;
            }
            (Some(service), current) if has_selector(&service) => {
                let subsets = subsets(&service, &self.pods.list_in(&key.namespace));
                let current = current.as_deref().map(unfold);
                let calm = calm(&subsets);
                self.write(&service, current.as_ref(), subsets).await?;
                // Who changes meanwhile is written together, when the next turn comes.
                tokio::time::sleep(calm).await;
            }
            // Without a selector the endpoints are somebody else's to write.
            _ => {}
        }
        self.gone.lock().remove(&name);
        Ok(Outcome::Done)
    }

    /// Makes the service's slices true; without a service or a selector there are none of ours.
    async fn slice(&self, key: &Key, service: Option<&Object>) -> Result<(), ClientError> {
        let mut slices = self.slices.list_in(&key.namespace);
        slices.retain(|slice| slices::is_ours(slice, &key.name));
        slices.sort_by(|a, b| a.name().cmp(b.name()));
        let slices: Vec<_> = slices.iter().map(|slice| Arc::new(unfold(slice))).collect();
        let plan = match service.filter(|service| has_selector(service)) {
            Some(service) => slices::plan(service, &self.pods.list_in(&key.namespace), &slices),
            None => slices::Plan {
                delete: slices,
                ..slices::Plan::default()
            },
        };
        for slice in &plan.create {
            self.client.create(&ENDPOINT_SLICES, slice).await?;
        }
        for slice in &plan.replace {
            gone_is_fine(self.client.replace(&ENDPOINT_SLICES, slice).await)?;
        }
        for slice in &plan.delete {
            let of = (slice.namespace(), slice.name());
            let options = DeleteOptions::exactly(slice);
            gone_is_fine(self.client.delete(&ENDPOINT_SLICES, of, &options).await)?;
        }
        Ok(())
    }

    async fn write(
        &self,
        service: &Object,
        current: Option<&Object>,
        subsets: Vec<Value>,
    ) -> Result<(), ClientError> {
        let labels = service.get(&["metadata", "labels"]).cloned();
        let Some(current) = current else {
            let mut wanted = Object::new(&ENDPOINTS, service.namespace(), service.name());
            if let Some(labels) = labels {
                wanted.set(&["metadata", "labels"], labels);
            }
            wanted.set(&["subsets"], subsets.into());
            return self.client.create(&ENDPOINTS, &wanted).await.map(|_| ());
        };
        let now = current.get(&["subsets"]).and_then(Value::as_array);
        let same = now.map_or(subsets.is_empty(), |now| *now == subsets);
        if same && current.get(&["metadata", "labels"]) == labels.as_ref() {
            return Ok(());
        }
        let mut wanted = current.clone();
        wanted.set(&["subsets"], subsets.into());
        match labels {
            Some(labels) => wanted.set(&["metadata", "labels"], labels),
            None => drop(wanted.remove(&["metadata", "labels"])),
        }
        self.client.replace(&ENDPOINTS, &wanted).await.map(|_| ())
    }
}

/// How long a service of so many endpoints stays as it was written.
fn calm(subsets: &[Value]) -> Duration {
    let length = |list: &Value| list.as_array().map_or(0, Vec::len);
    let one = |subset: &Value| length(&subset["addresses"]) + length(&subset["notReadyAddresses"]);
    let thousands = subsets.iter().map(one).sum::<usize>() / 1000;
    CALM * u32::try_from(thousands.min(10)).unwrap_or(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_large_services_are_written_less_often() {
        let subset = |ready: usize, others: usize| json!({"addresses": vec![json!({}); ready], "notReadyAddresses": vec![json!({}); others]});
        assert_eq!(calm(&[]), Duration::ZERO);
        assert_eq!(calm(&[subset(500, 499)]), Duration::ZERO);
        assert_eq!(calm(&[subset(500, 0), subset(0, 500)]), CALM);
        assert_eq!(calm(&[subset(9_000, 90_000)]), Duration::from_secs(1));
    }
}
