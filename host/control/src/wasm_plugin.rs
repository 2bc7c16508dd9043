//! The controller of Istio's WasmPlugins: each becomes a Plugin and Policies that it owns, and tells what became of them.

mod decide;

use std::sync::Arc;

use osier_api::resources::{PLUGINS, POLICIES, WASM_PLUGINS};
use osier_api::{Object, Resource};
use osier_client::{CONTROLLER, Client, ClientError, DeleteOptions, Informer, Part, WorkQueue};
use osier_process::clock;
use serde_json::{Value, json};

use crate::Context;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};
use decide::{Wanted, decide, plugin_name};

const WORKERS: usize = 2;

struct WasmPlugins {
    client: Client,
    wasm: Arc<Informer>,
    plugins: Arc<Informer>,
    policies: Arc<Informer>,
}

/// Whether it is in force, in one word and in many.
type Standing = (bool, &'static str, String);

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let informers = &context.informers;
    let (Some(wasm), Some(plugins), Some(policies)) = (
        informers.of(&WASM_PLUGINS),
        informers.of(&PLUGINS),
        informers.of(&POLICIES),
    ) else {
        return;
    };
    let this = Arc::new(WasmPlugins {
        client: context.client.clone(),
        wasm: Arc::clone(wasm),
        plugins: Arc::clone(plugins),
        policies: Arc::clone(policies),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    reconcile::run(
        "wasmplugins",
        &queue,
        (WORKERS, &context.tasks),
        move |key| {
            let this = Arc::clone(&this);
            async move { this.reconcile(&key).await }
        },
    );
}

impl WasmPlugins {
    fn listen(&self, queue: &WorkQueue<Key>) {
        let own = queue.clone();
        self.wasm
            .on_change(move |change| own.add(Key::of(change.object())));
        for informer in [&self.plugins, &self.policies] {
            let queue = queue.clone();
            informer.on_change(move |change| {
                let object = change.object();
                if let Some(owner) = object
                    .controller_of()
                    .filter(|owner| owner.kind == "WasmPlugin")
                {
                    queue.add(Key::new(object.namespace(), &owner.name));
                }
            });
        }
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        for informer in [&self.wasm, &self.plugins, &self.policies] {
            informer.synced().await;
        }
        // What it owned goes with it by garbage collection.
        let Some(wasm) = self.wasm.get(&key.namespace, &key.name) else {
            return Ok(Outcome::Done);
        };
        let wanted = decide(&wasm);
        let standing = match self.write(&wasm, &wanted).await {
            Ok(()) => self.standing(&wasm, &wanted),
            // The API refuses what the module or its configuration is; the object's owner is told.
            Err(error) if error.code() == Some(422) => (false, "Invalid", error.to_string()),
            Err(error) => return Err(error),
        };
        self.tell(&wasm, standing).await?;
        Ok(Outcome::Done)
    }

    /// Makes Plugin and Policies what they are to be.
    async fn write(&self, wasm: &Object, wanted: &Wanted) -> Result<(), ClientError> {
        if let Some(plugin) = &wanted.plugin {
            self.ensure(&PLUGINS, &self.plugins, plugin).await?;
        }
        for policy in &wanted.policies {
            self.ensure(&POLICIES, &self.policies, policy).await?;
        }
        let wanted = wanted.policies.iter().chain(&wanted.plugin);
        let names: Vec<&str> = wanted.map(Object::name).collect();
        for (resource, informer) in [(&POLICIES, &self.policies), (&PLUGINS, &self.plugins)] {
            for object in informer.list_in(wasm.namespace()) {
                let owner = object.controller_of();
                let mine = owner.is_some_and(|owner| owner.uid == wasm.uid());
                if mine && !names.contains(&object.name()) {
                    let options = DeleteOptions::exactly(&object);
                    let of = (object.namespace(), object.name());
                    gone_is_fine(self.client.delete(resource, of, &options).await)?;
                }
            }
        }
        Ok(())
    }

    async fn ensure(
        &self,
        resource: &'static Resource,
        informer: &Informer,
        wanted: &Object,
    ) -> Result<(), ClientError> {
        let Some(current) = informer.get(wanted.namespace(), wanted.name()) else {
            return self.client.create(resource, wanted).await.map(|_| ());
        };
        // The API fills in defaults: only what is asked for is compared.
        let (now, spec) = (current.get(&["spec"]), wanted.get(&["spec"]));
        if let (Some(now), Some(spec)) = (now, spec)
            && says(now, spec)
        {
            return Ok(());
        }
        let mut next = (*current).clone();
        next.set(&["spec"], spec.cloned().unwrap_or(Value::Null));
        self.client.replace(resource, &next).await.map(|_| ())
    }

    /// What the Plugin says about itself.
    fn standing(&self, wasm: &Object, wanted: &Wanted) -> Standing {
        if !wanted.faults.is_empty() {
            return (false, "NotSupported", wanted.faults.join("; "));
        }
        let plugin = self
            .plugins
            .get(wasm.namespace(), &plugin_name(wasm.name()));
        let conditions = plugin
            .as_ref()
            .and_then(|plugin| plugin.get(&["status", "conditions"]));
        let ready = conditions.and_then(Value::as_array).into_iter().flatten();
        let ready = ready.into_iter().find(|one| one["type"] == "Ready");
        match ready {
            None => (false, "Loading", "the module is being loaded".to_owned()),
            Some(ready) if ready["status"] == "True" => (true, "Loaded", String::new()),
            Some(ready) => {
                let message = ready["message"].as_str().unwrap_or_default();
                (false, "LoadFailed", message.to_owned())
            }
        }
    }

    async fn tell(
        &self,
        wasm: &Object,
        (holds, reason, message): Standing,
    ) -> Result<(), ClientError> {
        let status = if holds { "True" } else { "False" };
        let known = wasm
            .get(&["status", "conditions"])
            .and_then(Value::as_array);
        let known = known
            .into_iter()
            .flatten()
            .find(|one| one["type"] == "Ready");
        let generation = wasm.generation();
        let same = known.filter(|one| one["status"] == status);
        let said = same.is_some_and(|one| {
            one["reason"] == reason
                && one["message"] == message.as_str()
                && one["observedGeneration"] == generation
        });
        if said {
            return Ok(());
        }
        let since = same.and_then(|one| one["lastTransitionTime"].as_str());
        let since = since.map_or_else(|| clock::seconds(clock::now()), ToOwned::to_owned);
        let condition = json!({"type": "Ready", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": since, "observedGeneration": generation});
        let status = json!({"observedGeneration": generation, "conditions": [condition]});
        let patch = json!({"metadata": {"uid": wasm.uid()}, "status": status});
        let of = (wasm.namespace(), wasm.name());
        gone_is_fine(
            self.client
                .patch(&WASM_PLUGINS, of, patch, Part::Status)
                .await,
        )
    }
}

/// `now` has everything that `wanted` asks for; lists and texts are equal.
fn says(now: &Value, wanted: &Value) -> bool {
    match (now, wanted) {
        (Value::Object(now), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| now.get(name).is_some_and(|now| says(now, wanted))),
        (Value::Array(now), Value::Array(wanted)) => {
            now.len() == wanted.len()
                && now
                    .iter()
                    .zip(wanted)
                    .all(|(now, wanted)| says(now, wanted))
        }
        (now, wanted) => now == wanted,
    }
}
