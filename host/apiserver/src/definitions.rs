//! Definitions of kinds: what the stored ones say is served, and then they are told so.

use std::sync::Arc;

use osier_access::User;
use osier_api::resources::CUSTOM_RESOURCE_DEFINITIONS;
use osier_api::{Object, Status};
use osier_custom::{Definition, Settled, settle};
use osier_process::clock;

use crate::admit::Read;
use crate::catalogue::Catalogue;
use crate::objects;
use crate::query::{FieldValidation, WriteOptions};
use crate::registry::{Change, Part, Write};
use crate::server::ApiServer;
use crate::target::Address;
use osier_store::{StoreError, Watch};

/// The parts of a definition's status that are found out here.
const FOUND: [&str; 2] = ["acceptedNames", "conditions"];

impl ApiServer {
    /// Serves the kinds of all definitions whose names are accepted, and then says in their status that it does: whoever
    /// sees a definition established finds its kind in discovery and OpenAPI.
    pub(crate) async fn settle(&self) -> Result<(), Status> {
        // One at a time, so that the newest state is what is published last.
        let _turn = self.settling.lock().await;
        let all = Read::list(&*self.registry, &CUSTOM_RESOURCE_DEFINITIONS, "");
        let settled = settle(all, &clock::seconds(clock::now()));
        self.publish(&settled);
        for one in settled.iter().filter(|one| one.changed) {
            self.tell(&one.definition).await?;
        }
        Ok(())
    }

    /// Serves what definitions say that were written through other servers too.
    pub(crate) fn follow_definitions(self: &Arc<Self>) -> Result<(), Status> {
        let store = &self.registry.store;
        if !store.is_shared() {
            return Ok(());
        }
        let prefix = objects::prefix(&CUSTOM_RESOURCE_DEFINITIONS, "");
        let watch = store.watch(&prefix, store.revision());
        let watch = watch.map_err(|error| objects::unavailable(&error))?;
        let (server, stopping) = (Arc::clone(self), self.registry.tasks.stopping());
        self.registry.tasks.spawn("definitions", async move {
            tokio::select! {
                () = server.settle_again(watch, &prefix) => {}
                () = stopping.cancelled() => {}
            }
        });
        Ok(())
    }

    /// Settles after each change, until the store closes.
    async fn settle_again(&self, mut watch: Watch, prefix: &str) {
        let store = &self.registry.store;
        loop {
            let changed = watch.next().await;
            if matches!(changed, Err(StoreError::Closed)) {
                return;
            }
            if changed.is_err() {
                match store.watch(prefix, store.revision()) {
                    Ok(again) => watch = again,
                    Err(error) => return tracing::warn!(%error, "definitions are not followed"),
                }
            }
            if let Err(status) = self.settle().await {
                tracing::warn!(%status, "definitions could not be settled");
            }
        }
    }

    fn publish(&self, settled: &[Settled]) {
        let mut definitions = Vec::new();
        let before = self.registry.catalogue.load_full();
        for one in settled.iter().filter(|one| one.served) {
            if let Some(known) = before.known(&one.definition) {
                definitions.push(known.clone());
                continue;
            }
            match Definition::compile(&one.definition) {
                Ok(definition) => definitions.push(definition),
                Err(why) => {
                    let name = one.definition.name();
                    tracing::error!(definition = name, why = why.0, "a kind is not served");
                }
            }
        }
        let catalogue = Arc::new(Catalogue::new(definitions, Some(&before)));
        self.registry.catalogue.store(Arc::clone(&catalogue));
        self.registry.published.send_replace(Some(catalogue));
    }

    async fn tell(&self, definition: &Object) -> Result<(), Status> {
        let user = User::new("system:apiserver", ["system:masters"]);
        let address = Address {
            name: definition.name().to_owned(),
            subresource: "status".to_owned(),
            ..Address::of(&CUSTOM_RESOURCE_DEFINITIONS)
        };
        let options = WriteOptions {
            dry_run: false,
            validation: FieldValidation::Ignore,
        };
        let make = |old: &Object, _: &mut Vec<String>| Ok(told(old, definition));
        let change = Change {
            part: Part::Status,
            make: &make,
        };
        let mut write = Write::new(&user, &address, options);
        match self.registry.update(&mut write, change).await {
            Err(gone) if gone.is("NotFound") => Ok(()),
            written => written.map(drop),
        }
    }
}

/// A stored definition with what was found out about it.
fn told(old: &Object, settled: &Object) -> Object {
    let mut new = old.clone();
    for field in FOUND {
        if let Some(found) = settled.get(&["status", field]) {
            new.set(&["status", field], found.clone());
        }
    }
    new
}
