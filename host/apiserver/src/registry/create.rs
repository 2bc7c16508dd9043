//! Create.

use osier_api::{Cause, Details, Object, Resource, Status, Subresource, resources};
use osier_process::clock;
use rand::Rng;
use serde_json::{Value, json};

use super::{Registry, Write, sign, validate};
use crate::draft;
use crate::objects;
use crate::target::Address;
use osier_store::{Expect, Key, StoreError};

/// The letters of a generated name: no vowels, so that no words appear.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Letters that `generateName` is completed with.
const GENERATED: usize = 5;
/// The longest prefix that is kept of `generateName`.
const LONGEST_PREFIX: usize = 63 - GENERATED;
/// How often a generated name that exists already is replaced by another, and a write made again that was overtaken.
const ATTEMPTS: usize = 8;

/// Fields that only the server sets.
const SERVER_FIELDS: [&str; 5] = [
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
    "generation",
];

impl Registry {
    /// Creates an object from a body that was read for this address.
    pub(crate) async fn create(
        &self,
        write: &mut Write<'_>,
        mut object: Object,
        duplicates: &[String],
    ) -> Result<Object, Status> {
        place(write.address, &mut object)?;
        if object
            .get(&["metadata", "resourceVersion"])
            .is_some_and(|version| version != "")
        {
            return Err(Status::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let (wish, address) = (write.options.validation, write.address);
        draft::check_fields(address, &mut object, duplicates, wish, &mut write.warnings)?;
        self.check_namespace(write.address, &object)?;
        for attempt in 1.. {
            let created = self.create_once(write, object.clone()).await;
            let generated = object.name().is_empty();
            match created {
                Err(status) if generated && status.is("AlreadyExists") && attempt < ATTEMPTS => {}
                result => return result.map(|object| write.shown(object)),
            }
        }
        Err(Status::internal("no name could be generated"))
    }

    async fn create_once(
        &self,
        write: &mut Write<'_>,
        mut object: Object,
    ) -> Result<Object, Status> {
        let resource = write.resource();
        let strategy = self.strategies.of(resource);
        let submitted = object.remove(&["metadata", "managedFields"]);
        let managed = write.signed(
            None,
            draft::complete(write.address, object.clone()),
            submitted,
        );
        stamp_new(&mut object, strategy.generations());
        if resource.has(Subresource::Status) && !strategy.created_with_status() {
            object.remove(&["status"]);
        }
        strategy.prepare_create(&mut object);
        let mut object = draft::complete(write.address, object);
        validate(write.address, None, &object)?;
        sign::put(&mut object, managed);
        let mut object = self.admit(write, None, object).await?;
        strategy.admitted(&mut object);
        let converted = match write.options.dry_run {
            true => None,
            false => self.to_store(write.address, &object).await?,
        };
        let key = objects::key(resource, object.namespace(), object.name());
        if self.store.get(&key).is_some() {
            return Err(Status::already_exists(resource, object.name()));
        }
        for _ in 0..ATTEMPTS {
            let parts = (&mut object, converted.as_ref());
            if self.store_new(write, &key, parts).await? {
                if !write.options.dry_run {
                    self.recount(&object).await;
                }
                return Ok(object);
            }
        }
        Err(Status::conflict(resource, object.name()))
    }

    /// Stores an object that is new, with what it gets in the cluster. False if another server decided something meanwhile on
    /// which that depends.
    async fn store_new(
        &self,
        write: &Write<'_>,
        key: &Key,
        (object, converted): (&mut Object, Option<&Object>),
    ) -> Result<bool, Status> {
        let resource = write.resource();
        let mut placed = object.clone();
        let guards = self.guards(resource, None, &placed).await?;
        let _place = self.reserve(resource, None, &placed)?;
        let _claim = self.strategies.of(resource).claim(None, &mut placed)?;
        if write.options.dry_run {
            *object = placed;
            return Ok(true);
        }
        let bytes = objects::encode(converted.unwrap_or(&placed))?;
        let written = self
            .store
            .put_guarded(key.clone(), bytes, Expect::Absent, &guards.all);
        match written.await {
            Ok(revision) => placed.set_resource_version(revision),
            Err(StoreError::Overtaken { .. }) => return Ok(false),
            Err(StoreError::AlreadyExists { .. }) => {
                return Err(Status::already_exists(resource, object.name()));
            }
            Err(error) => return Err(objects::unavailable(&error)),
        }
        *object = placed;
        Ok(true)
    }

    /// Nothing is created in a namespace that is not there, or on its way out.
    fn check_namespace(&self, address: &Address, object: &Object) -> Result<(), Status> {
        if !address.resource.namespaced {
            return Ok(());
        }
        let namespace = object.namespace();
        let found = crate::admit::Read::get(self, &resources::NAMESPACES, "", namespace);
        let Some(found) = found else {
            return Err(Status::not_found(&resources::NAMESPACES, namespace));
        };
        if found.deletion_timestamp().is_some() {
            return Err(terminating(address.resource, object));
        }
        Ok(())
    }
}

/// With the cause by which controllers know that they need not try again.
fn terminating(resource: &Resource, object: &Object) -> Status {
    let namespace = object.namespace();
    let words = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let refused = Status::forbidden(resource, object.name(), &words);
    let known = refused.details.clone().unwrap_or_default();
    let cause = Cause {
        reason: "NamespaceTerminating".to_owned(),
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".to_owned(),
    };
    refused.on(Details {
        causes: vec![cause],
        ..*known
    })
}

/// Puts the object into the namespace of the URL; a body that says another one is refused.
pub(super) fn place(address: &Address, object: &mut Object) -> Result<(), Status> {
    let said = object.namespace();
    if !address.resource.namespaced {
        object.remove(&["metadata", "namespace"]);
        return Ok(());
    }
    if said.is_empty() {
        let namespace = address.namespace.clone();
        object.set(&["metadata", "namespace"], Value::String(namespace));
    } else if said != address.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

fn stamp_new(object: &mut Object, generations: bool) {
    for field in SERVER_FIELDS {
        object.remove(&["metadata", field]);
    }
    object.remove(&["metadata", "resourceVersion"]);
    object.set(
        &["metadata", "uid"],
        json!(uuid::Uuid::new_v4().to_string()),
    );
    object.set(
        &["metadata", "creationTimestamp"],
        json!(clock::seconds(clock::now())),
    );
    if generations {
        object.set(&["metadata", "generation"], json!(1));
    }
    if object.name().is_empty() && !object.generate_name().is_empty() {
        let name = generate(object.generate_name());
        object.set(&["metadata", "name"], json!(name));
    }
}

fn generate(prefix: &str) -> String {
    let mut random = rand::rng();
    let kept = prefix.chars().take(LONGEST_PREFIX);
    let letters =
        (0..GENERATED).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]));
    kept.chain(letters).collect()
}
