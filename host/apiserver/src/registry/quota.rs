//! Quotas: whether what a write adds still fits, and what is used of each.
//!
//! What is used is counted from the store at each write into a namespace that has quotas, together with what writes
//! under way have reserved; so two writes at once never share the last place. The status is written before the write is
//! answered.

use std::collections::BTreeMap;

use osier_access::User;
use osier_api::{Object, Resource, Status, resources};
use osier_limits::quota::{self, Usage};
use osier_process::Boxed;
use parking_lot::Mutex;
use serde_json::json;

use super::{Change, Part, Registry, Write};
use crate::admit::Read;
use crate::query::{FieldValidation, WriteOptions};
use crate::target::Address;

/// What writes under way will use.
#[derive(Default)]
pub(crate) struct Quotas(Mutex<Reserved>);

#[derive(Default)]
struct Reserved {
    next: u64,
    /// By namespace and the number of the write.
    waiting: BTreeMap<(String, u64), Waiting>,
}

/// One write under way.
struct Waiting {
    resource: &'static Resource,
    /// The object that it creates; empty for an update, whose object is there already.
    creates: String,
    usage: Usage,
}

impl Reserved {
    /// What writes into a namespace will use beside what is stored: a new object that is among `stored` already counts
    /// there.
    fn usages(&self, namespace: &str, resource: &Resource, stored: &[Object]) -> Vec<&Usage> {
        let all = self.waiting.range((namespace.to_owned(), 0)..);
        let here = all.take_while(|((home, _), _)| home == namespace);
        let listed = |one: &Waiting| {
            *one.resource == *resource && stored.iter().any(|object| object.name() == one.creates)
        };
        here.filter(|(_, one)| !listed(one))
            .map(|(_, one)| &one.usage)
            .collect()
    }
}

/// What one write has reserved, until it is stored or given up.
pub(super) struct Hold<'a> {
    quotas: &'a Quotas,
    key: (String, u64),
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.quotas.0.lock().waiting.remove(&self.key);
    }
}

/// Kinds of which a change can use more than before.
fn grows(resource: &Resource) -> bool {
    [&resources::SERVICES, &resources::PERSISTENT_VOLUME_CLAIMS].contains(&resource)
}

/// Whether a write can use more than before.
pub(super) fn may_charge(resource: &Resource, old: Option<&Object>) -> bool {
    resource.namespaced && (old.is_none() || grows(resource))
}

impl Registry {
    /// Whether anything is limited in a namespace.
    pub(super) fn has_quotas(&self, namespace: &str) -> bool {
        !self.quotas_of(namespace).is_empty()
    }

    fn quotas_of(&self, namespace: &str) -> Vec<Object> {
        Read::list(self, &resources::RESOURCE_QUOTAS, namespace)
    }

    /// Makes sure that the new state of an object fits beside all others, and keeps its place.
    pub(super) fn reserve(
        &self,
        resource: &'static Resource,
        old: Option<&Object>,
        new: &Object,
    ) -> Result<Option<Hold<'_>>, Status> {
        if !may_charge(resource, old) {
            return Ok(None);
        }
        let wanted = quota::charge(resource, new);
        if old.is_some_and(|old| quota::charge(resource, old) == wanted) {
            return Ok(None);
        }
        let namespace = new.namespace();
        let quotas: Vec<Object> = self
            .quotas_of(namespace)
            .into_iter()
            .filter(|quota| quota::counts(quota, resource, new))
            .collect();
        if quotas.is_empty() {
            return Ok(None);
        }
        let mut reserved = self.quotas.0.lock();
        let others: Vec<Object> = Read::list(self, resource, namespace)
            .into_iter()
            .filter(|other| other.name() != new.name())
            .collect();
        let waiting = reserved.usages(namespace, resource, &others);
        for one in &quotas {
            let counted = others
                .iter()
                .filter(|other| quota::counts(one, resource, other));
            let stored: Vec<Usage> = counted
                .map(|other| quota::charge(resource, other))
                .collect();
            let used = quota::total(stored.iter().chain(waiting.iter().copied()));
            check(resource, new, one, (&used, &wanted))?;
        }
        reserved.next += 1;
        let key = (namespace.to_owned(), reserved.next);
        let creates = old.map_or(new.name(), |_| "").to_owned();
        let waiting = Waiting {
            resource,
            creates,
            usage: wanted,
        };
        reserved.waiting.insert(key.clone(), waiting);
        Ok(Some(Hold {
            quotas: &self.quotas,
            key,
        }))
    }

    /// Counts the quotas of a namespace again after something in it came, went or changed.
    pub(super) fn recount<'a>(&'a self, changed: &'a Object) -> Boxed<'a, ()> {
        Box::pin(async move {
            let namespace = changed.namespace();
            if namespace.is_empty() {
                return;
            }
            for quota in self.quotas_of(namespace) {
                if let Err(status) = self.count(&quota).await {
                    tracing::warn!(%status, quota = quota.full_name(), "a quota was not counted");
                }
            }
        })
    }

    async fn count(&self, object: &Object) -> Result<(), Status> {
        let user = User::new("system:apiserver", ["system:masters"]);
        let address = Address {
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            subresource: "status".to_owned(),
            ..Address::of(&resources::RESOURCE_QUOTAS)
        };
        let options = WriteOptions {
            dry_run: false,
            validation: FieldValidation::Ignore,
        };
        // Counted anew for each try: whoever writes last has seen what others did before.
        let make = |old: &Object, _: &mut Vec<String>| {
            let mut new = old.clone();
            let (hard, used) = self.usage(old);
            new.set(&["status"], json!({"hard": hard, "used": used}));
            Ok(new)
        };
        let change = Change {
            part: Part::Status,
            make: &make,
        };
        let mut write = Write::new(&user, &address, options);
        match self.update(&mut write, change).await {
            Err(gone) if gone.is("NotFound") => Ok(()),
            written => written.map(drop),
        }
    }

    /// What a quota limits, and what is used of it.
    fn usage(&self, object: &Object) -> (Usage, Usage) {
        let hard = quota::hard(object);
        let mut total = Usage::new();
        let catalogue = self.catalogue.load();
        let kinds = catalogue.kinds();
        for resource in kinds.filter(|one| one.namespaced && one.is_stored()) {
            if !hard.keys().any(|name| concerns(resource, name)) {
                continue;
            }
            let objects = Read::list(self, resource, object.namespace());
            let counted = objects
                .iter()
                .filter(|one| quota::counts(object, resource, one));
            let usages: Vec<Usage> = counted.map(|one| quota::charge(resource, one)).collect();
            total = quota::total(usages.iter().chain([&total]));
        }
        let used = quota::used(&hard, &total);
        (hard, used)
    }
}

fn check(
    resource: &Resource,
    new: &Object,
    quota: &Object,
    (used, wanted): (&Usage, &Usage),
) -> Result<(), Status> {
    let hard = quota::hard(quota);
    if *resource == resources::PODS {
        let unsaid = quota::unsaid(&hard, new);
        if !unsaid.is_empty() {
            let words = format!(
                "failed quota: {}: must specify {}",
                quota.name(),
                unsaid.join("; ")
            );
            return Err(Status::forbidden(resource, new.name(), &words));
        }
    }
    let Some(words) = quota::exceeded(&hard, used, wanted) else {
        return Ok(());
    };
    let words = format!("exceeded quota: {}, {words}", quota.name());
    Err(Status::forbidden(resource, new.name(), &words))
}

/// Whether an amount of this name is one of objects of this kind.
fn concerns(resource: &Resource, name: &str) -> bool {
    let qualified = resource.qualified();
    if name == qualified || name.strip_prefix("count/") == Some(&qualified) {
        return true;
    }
    match (resource.group, resource.plural) {
        ("", "pods") => {
            name == "cpu"
                || name == "memory"
                || name == "ephemeral-storage"
                || name.starts_with("requests.") && name != "requests.storage"
                || name.starts_with("limits.")
        }
        ("", "services") => name.starts_with("services."),
        ("", "persistentvolumeclaims") => name == "requests.storage",
        _ => false,
    }
}
