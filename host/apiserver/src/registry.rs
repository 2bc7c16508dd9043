//! Objects and the rules of changing them, the same for every resource.
//!
//! A write is: decode, check fields, defaults, validation, admission, claim, store. Each verb is a module below; what
//! differs between kinds is in [`crate::strategy`].

mod convert;
mod create;
mod delete;
mod guard;
mod list;
mod news;
mod owners;
mod page;
mod quota;
mod sign;
mod update;
mod watch;

use std::sync::Arc;

use arc_swap::ArcSwap;
use osier_api::resources::CUSTOM_RESOURCE_DEFINITIONS;
use osier_api::{Fault, FaultKind, Object, Resource, Status, resources, schema};
use osier_process::Tasks;
use tokio::sync::watch as watch_channel;

use crate::admit::{Admit, Operation, Read, Review};
use crate::catalogue::Catalogue;
use crate::draft;
use crate::notes::Notes;
use crate::objects;
use crate::query::{FieldValidation, WriteOptions};
use crate::strategy::Strategies;
use crate::target::Address;
use crate::webhooks::Webhooks;
use osier_access::User;
use osier_store::{Entry, Store};

pub(crate) use delete::{DeleteOptions, Deleted};
pub(crate) use news::News;
pub(crate) use page::fresh_token;
pub(crate) use quota::Quotas;
pub(crate) use update::{Change, Part};

/// The store with the rules above it.
pub(crate) struct Registry {
    pub(crate) store: Store,
    pub(crate) strategies: Strategies,
    pub(crate) admission: Vec<Arc<dyn Admit>>,
    /// The way to programs outside that convert objects.
    pub(crate) webhooks: Arc<dyn Webhooks>,
    pub(crate) tasks: Tasks,
    pub(crate) quotas: Quotas,
    /// What watches tell at the moment.
    pub(crate) news: Arc<News>,
    /// Held by the one guarded write under way: others of this process would only be overtaken by it.
    pub(crate) guarded: tokio::sync::Mutex<()>,
    /// The kinds that are served now.
    pub(crate) catalogue: ArcSwap<Catalogue>,
    /// Tells watches of a new catalogue.
    pub(crate) published: watch_channel::Sender<Option<Arc<Catalogue>>>,
}

/// One request to change something.
pub(crate) struct Write<'a> {
    pub(crate) user: &'a User,
    pub(crate) address: &'a Address,
    pub(crate) options: WriteOptions,
    /// The name under which the fields that change are recorded.
    pub(crate) manager: String,
    /// Whether the object comes from an apply, and says itself who owns what in it.
    pub(crate) applied: bool,
    /// Whether an apply takes fields from their owners.
    pub(crate) force: bool,
    /// What the caller shall be told beside the answer.
    pub(crate) warnings: Vec<String>,
    /// What the audit log shall be told.
    pub(crate) notes: Arc<Notes>,
}

impl<'a> Write<'a> {
    pub(crate) fn new(user: &'a User, address: &'a Address, options: WriteOptions) -> Self {
        Self {
            user,
            address,
            options,
            manager: user.name.clone(),
            applied: false,
            force: false,
            warnings: Vec::new(),
            notes: Arc::default(),
        }
    }

    pub(crate) fn resource(&self) -> &'static Resource {
        self.address.resource
    }

    /// The object as the caller shall see it.
    fn shown(&self, object: Object) -> Object {
        objects::shown(self.address, object)
    }
}

impl Registry {
    /// The object at an address, in the caller's version.
    pub(crate) async fn get(&self, address: &Address) -> Result<Object, Status> {
        let entry = self.entry(address)?;
        let object = self.read(address, &entry).await?;
        Ok(objects::shown(address, object))
    }

    pub(crate) fn entry(&self, address: &Address) -> Result<Entry, Status> {
        let key = objects::key(address.resource, &address.namespace, &address.name);
        self.store
            .get(&key)
            .ok_or_else(|| Status::not_found(address.resource, &address.name))
    }

    /// Asks every admission step in turn, and validates again what they changed.
    async fn admit(
        &self,
        write: &mut Write<'_>,
        old: Option<&Object>,
        mut new: Object,
    ) -> Result<Object, Status> {
        write
            .warnings
            .extend(osier_warnings::warnings(write.resource(), &new));
        if *write.resource() == CUSTOM_RESOURCE_DEFINITIONS {
            write.warnings.extend(osier_custom::warnings(&new));
        }
        let operation = if old.is_some() {
            Operation::Update
        } else {
            Operation::Create
        };
        for step in &self.admission {
            let review = self.review(write, operation, old, Some(&new));
            let admitted = step.admit(&review).await?;
            write.warnings.extend(admitted.warnings);
            if let Some(changed) = admitted.object {
                new = self.accept(write, old, changed)?;
            }
        }
        Ok(new)
    }

    /// A question to whom the admission steps know: one of them answers in the status.
    pub(crate) async fn answered(
        &self,
        write: &mut Write<'_>,
        question: Object,
    ) -> Result<Object, Status> {
        validate(write.address, None, &question)?;
        let answer = self.admit(write, None, question).await?;
        if answer
            .get(&["status"])
            .is_some_and(serde_json::Value::is_object)
        {
            return Ok(answer);
        }
        Err(Status::unavailable("nobody here answers such reviews"))
    }

    /// What an admission step made of the object is held to the same rules as a body.
    fn accept(
        &self,
        write: &Write<'_>,
        old: Option<&Object>,
        changed: Object,
    ) -> Result<Object, Status> {
        let mut new = draft::complete(write.address, changed);
        draft::check_fields(
            write.address,
            &mut new,
            &[],
            FieldValidation::Strict,
            &mut Vec::new(),
        )?;
        validate(write.address, old, &new)?;
        Ok(new)
    }

    /// Asks every admission step whether the object may go.
    async fn admit_delete(&self, write: &mut Write<'_>, old: &Object) -> Result<(), Status> {
        for step in &self.admission {
            let review = self.review(write, Operation::Delete, Some(old), None);
            let admitted = step.admit(&review).await?;
            write.warnings.extend(admitted.warnings);
        }
        Ok(())
    }

    fn review<'a>(
        &'a self,
        write: &'a Write<'_>,
        operation: Operation,
        old: Option<&'a Object>,
        new: Option<&'a Object>,
    ) -> Review<'a> {
        let subresource = Some(write.address.subresource.as_str()).filter(|name| !name.is_empty());
        let object = new.or(old);
        let address = write.address;
        Review {
            resource: write.resource(),
            version: &address.version,
            namespace: match write.resource().namespaced {
                true => object.map_or("", Object::namespace),
                false => "",
            },
            name: object.map_or(address.name.as_str(), Object::name),
            operation,
            subresource,
            old,
            new,
            user: write.user,
            objects: self,
            dry_run: write.options.dry_run,
            notes: &write.notes,
        }
    }
}

impl Registry {
    /// How others look for an object.
    pub(crate) fn find(&self) -> impl Fn(&'static Resource, &str, &str) -> Option<Object> {
        |resource, namespace, name| Read::get(self, resource, namespace, name)
    }
}

impl Read for Registry {
    fn get(&self, resource: &'static Resource, namespace: &str, name: &str) -> Option<Object> {
        let entry = self.store.get(&objects::key(resource, namespace, name))?;
        objects::read(&entry).ok()
    }

    fn list(&self, resource: &'static Resource, namespace: &str) -> Vec<Object> {
        let (_, entries) = self.store.list(&objects::prefix(resource, namespace));
        let objects = entries.iter().map(objects::read);
        objects.filter_map(Result::ok).collect()
    }

    fn kind(&self, api_version: &str, kind: &str) -> Option<&'static Resource> {
        self.catalogue.load().by_kind(api_version, kind)
    }
}

fn is_admission(resource: &Resource) -> bool {
    resource.group == resources::VALIDATING_ADMISSION_POLICIES.group
}

fn same_wish(old: &Object, new: &Object) -> bool {
    let said = |object: &Object, field: &str| object.get(&[field]).cloned();
    ["spec", "webhooks"]
        .iter()
        .all(|field| said(old, field) == said(new, field))
}

/// Refuses what breaks a rule of the kind, naming every fault.
fn validate(address: &Address, old: Option<&Object>, new: &Object) -> Result<(), Status> {
    let resource = address.stored();
    let structure = schema::check(resource, new);
    let mut faults: Vec<Fault> = structure
        .into_iter()
        .filter(|fault| !matches!(fault.kind, FaultKind::Unknown | FaultKind::WrongType))
        .collect();
    let meaning = match old {
        None => osier_validation::validate_create(resource, new),
        Some(old) => osier_validation::validate_update(resource, old, new),
    };
    let defined = match &address.custom {
        Some(custom) => custom.validate(old, new),
        None if *resource == CUSTOM_RESOURCE_DEFINITIONS => osier_custom::validate(old, new),
        // What did not change was judged when it came.
        None if is_admission(resource) && old.is_none_or(|old| !same_wish(old, new)) => {
            osier_admission::faults(resource.plural, new)
        }
        None => Vec::new(),
    };
    for fault in meaning.into_iter().chain(defined) {
        if !faults
            .iter()
            .any(|known| known.field == fault.field && known.kind == fault.kind)
        {
            faults.push(fault);
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid(address.resource, new.name(), &faults))
    }
}
