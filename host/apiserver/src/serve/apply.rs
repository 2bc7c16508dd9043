//! Server-side apply: a configuration is merged into the object, or becomes one.

use std::sync::Arc;

use http::Response;
use osier_api::managed::{self, ApplyError};
use osier_api::{Fault, Object, Status};
use osier_process::body::Body;
use serde_json::{Value, json};

use super::Exchange;
use super::parts::scale;
use super::patch::{self, APPLY};
use crate::draft;
use crate::query::{self, FieldValidation};
use crate::registry::{Change, Part, Write};
use crate::target::Address;
use osier_answers::in_version;
use osier_answers::respond;

/// What an applied Scale says about its object; all else is the object's own.
const SCALE_METADATA: [&str; 5] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "managedFields",
];
/// How often an apply begins anew because the object came or went meanwhile.
const ATTEMPTS: usize = 8;

/// One configuration with the caller's wish.
struct Wish {
    config: Object,
    duplicates: Vec<String>,
    force: bool,
}

impl Exchange<'_> {
    /// Whether the body is a configuration to apply.
    pub(super) fn applies(&self) -> bool {
        self.incoming.media().split(';').next().map(str::trim) == Some(APPLY)
    }

    pub(super) async fn apply(mut self, part: Part) -> Result<Response<Body>, Status> {
        let mut write = self.write()?;
        write.applied = true;
        if query::field_manager(&self.incoming.query)?.is_none() {
            let fault = Fault::required("fieldManager", "is required for apply patch");
            return Err(query::invalid_options(&fault));
        }
        let force = query::force(&self.incoming.query)?.unwrap_or(false);
        write.force = force;
        let wish = self.wish(&mut write, (part, force)).await?;
        for _ in 0..ATTEMPTS {
            let (code, result) = match self.server.registry.get(self.address).await {
                Ok(_) => (200, self.apply_to_live(&mut write, &wish, part).await),
                Err(missing) if !missing.is("NotFound") => return Err(missing),
                Err(missing) if part != Part::Main => return Err(missing),
                Err(_) => (201, self.apply_as_new(&mut write, &wish).await),
            };
            match result {
                Err(late)
                    if late.is(if code == 200 {
                        "NotFound"
                    } else {
                        "AlreadyExists"
                    }) => {}
                Err(refusal) => return Err(refusal),
                Ok(object) if part == Part::Scale => {
                    let mut response = respond::json(code, &scale(self.address, &object));
                    respond::warn(&mut response, &write.warnings);
                    return Ok(response);
                }
                Ok(object) => return self.show(code, object, &write.warnings),
            }
        }
        Err(Status::conflict(self.address.resource, &self.address.name))
    }

    /// Reads the configuration. What the schema does not know is refused whatever the caller wishes: nobody could own it.
    async fn wish(
        &mut self,
        write: &mut Write<'_>,
        (part, force): (Part, bool),
    ) -> Result<Wish, Status> {
        let address = self.address;
        let document = patch::read(&self.incoming.bytes().await?)?;
        for field in ["apiVersion", "kind"] {
            if document.value[field].as_str().is_none_or(str::is_empty) {
                let words = format!("error decoding YAML: the configuration must have {field}");
                return Err(Status::bad_request(words));
            }
        }
        let config = match part {
            Part::Scale => unscaled(write, &document.value)?,
            _ => document.value,
        };
        let mut config = draft::as_object(address, config)?;
        if config
            .get(&["metadata", "managedFields"])
            .is_some_and(|list| {
                list.as_array().is_none_or(|list| !list.is_empty()) && !list.is_null()
            })
        {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        let strict = write.options.validation == FieldValidation::Strict;
        let unknown = draft::unknown(address, &config);
        if let Some(fault) = unknown.filter(|_| !strict) {
            let words = format!(".{}: field not declared in schema", fault.field);
            return Err(unfit(write, &words));
        }
        let (wish, warnings) = (write.options.validation, &mut write.warnings);
        draft::check_fields(address, &mut config, &document.duplicates, wish, warnings)?;
        Ok(Wish {
            config,
            duplicates: document.duplicates,
            force,
        })
    }

    async fn apply_to_live(
        &mut self,
        write: &mut Write<'_>,
        wish: &Wish,
        part: Part,
    ) -> Result<Object, Status> {
        let sent = Write {
            warnings: Vec::new(),
            manager: write.manager.clone(),
            notes: Arc::clone(&write.notes),
            ..*write
        };
        let make = |old: &Object, _: &mut Vec<String>| merged(&sent, Some(old), wish);
        let change = Change { part, make: &make };
        self.server.registry.update(write, change).await
    }

    async fn apply_as_new(&mut self, write: &mut Write<'_>, wish: &Wish) -> Result<Object, Status> {
        let (address, uid) = (self.address, wish.config.uid());
        if !uid.is_empty() {
            let words = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(Status::conflict_because(
                address.resource,
                &address.name,
                &words,
            ));
        }
        let mut object = merged(write, None, wish)?;
        if object.name().is_empty() {
            object.set(&["metadata", "name"], address.name.clone().into());
        }
        if object.name() != address.name {
            return Err(misnamed(address, object.name()));
        }
        let registry = &self.server.registry;
        registry.create(write, object, &wish.duplicates).await
    }
}

fn merged(write: &Write<'_>, live: Option<&Object>, wish: &Wish) -> Result<Object, Status> {
    let (address, form) = (write.address, write.address.form());
    // Fields are owned, and merged, in the shape in which they are stored.
    let stored = |object: &Object| match address.custom {
        Some(_) => object.clone(),
        None => in_version(object.clone(), &address.storage_api_version()),
    };
    let (live, config) = (live.map(stored), stored(&wish.config));
    let applied =
        write.authored(|author| managed::apply(form, live.as_ref(), &config, author, wish.force));
    applied.map_err(|error| match error {
        ApplyError::Malformed(fault) => unfit(write, &fault.to_string()),
        ApplyError::Conflicts(ref conflicts) => {
            let causes = conflicts.iter().map(managed::cause);
            Status::apply_conflict(&error.to_string(), causes)
        }
    })
}

/// The configuration of the scaled object that an applied Scale stands for: who applies it owns the replica count.
fn unscaled(write: &Write<'_>, scale: &Value) -> Result<Value, Status> {
    let address = write.address;
    for (field, wanted) in [("apiVersion", "autoscaling/v1"), ("kind", "Scale")] {
        let found = scale[field].as_str().unwrap_or_default();
        if found != wanted {
            return Err(Status::bad_request(format!(
                "the {field} in the data ({found}) does not match the expected {field} ({wanted})"
            )));
        }
    }
    let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let mut top = fields(scale).into_iter().map(|(name, _)| name);
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    let stray = top.find(|name| !known.contains(&name.as_str()));
    let mut spec = fields(&scale["spec"]).into_iter().map(|(name, _)| name);
    let within = spec.find(|name| name != "replicas");
    if let Some(stray) = stray.or(within.map(|name| format!("spec.{name}"))) {
        let words = format!(".{stray}: field not declared in schema");
        return Err(unfit(write, &words));
    }
    let replicas = &scale["spec"]["replicas"];
    if replicas
        .as_i64()
        .is_none_or(|count| i32::try_from(count).is_err())
    {
        return Err(unfit(write, ".spec.replicas: expected an integer"));
    }
    let mut metadata = fields(&scale["metadata"]);
    metadata.retain(|name, _| SCALE_METADATA.contains(&name.as_str()));
    let mut config = match &address.custom {
        Some(custom) => custom.scaled(replicas),
        None => json!({"spec": {"replicas": replicas}}),
    };
    config["apiVersion"] = address.api_version().into();
    config["kind"] = address.resource.kind.into();
    config["metadata"] = metadata.into();
    Ok(config)
}

fn misnamed(address: &Address, name: &str) -> Status {
    let wanted = &address.name;
    Status::bad_request(format!(
        "the name of the object ({name}) does not match the name on the URL ({wanted})"
    ))
}

fn unfit(write: &Write<'_>, words: &str) -> Status {
    let address = write.address;
    let (version, kind) = (address.api_version(), address.resource.kind);
    let name = match address.namespace.as_str() {
        "" => format!("/{}", address.name),
        namespace => format!("{namespace}/{}", address.name),
    };
    Status::bad_request(format!(
        "failed to create typed patch object ({name}; {version}, Kind={kind}): {words}"
    ))
}
