//! What people registered for admission, as the store has it: compiled once, when it is first asked.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use osier_admission::{Binding, Policy, Webhook};
use osier_api::{Object, Resource, resources};
use osier_store::{EventKind, Store};
use parking_lot::RwLock;

use crate::objects;

/// All of it.
pub(crate) struct Registered {
    pub(crate) policies: Shelf<Option<Policy>>,
    pub(crate) bindings: Shelf<Binding>,
    pub(crate) validating: Shelf<Vec<Webhook>>,
    pub(crate) mutating: Shelf<Vec<Webhook>>,
}

/// Objects of one kind by name, with what each was compiled to.
pub(crate) struct Shelf<T> {
    compile: fn(&Object) -> T,
    kept: RwLock<BTreeMap<String, Arc<Kept<T>>>>,
}

struct Kept<T> {
    object: Object,
    made: OnceLock<T>,
}

/// One object of a shelf.
pub(crate) struct One<T> {
    kept: Arc<Kept<T>>,
    compile: fn(&Object) -> T,
}

impl<T> One<T> {
    /// What it was compiled to.
    pub(crate) fn made(&self) -> &T {
        let compile = self.compile;
        self.kept.made.get_or_init(|| compile(&self.kept.object))
    }
}

impl<T> Shelf<T> {
    fn new(compile: fn(&Object) -> T) -> Self {
        Self {
            compile,
            kept: RwLock::default(),
        }
    }

    fn put(&self, object: Object) {
        let name = object.name().to_owned();
        let made = OnceLock::new();
        let kept = Arc::new(Kept { object, made });
        self.kept.write().insert(name, kept);
    }

    fn remove(&self, name: &str) {
        self.kept.write().remove(name);
    }

    /// Every one, in the order of names.
    pub(crate) fn all(&self) -> Vec<One<T>> {
        let kept = self.kept.read();
        let one = |kept: &Arc<Kept<T>>| One {
            kept: Arc::clone(kept),
            compile: self.compile,
        };
        kept.values().map(one).collect()
    }

    /// The one of a name.
    pub(crate) fn named(&self, name: &str) -> Option<One<T>> {
        let kept = self.kept.read().get(name).map(Arc::clone)?;
        let compile = self.compile;
        Some(One { kept, compile })
    }
}

impl Registered {
    /// Follows what a store has.
    pub(crate) fn follow(store: &Store) -> Arc<Self> {
        let all = Arc::new(Self {
            policies: Shelf::new(|object| Policy::compile(object).ok()),
            bindings: Shelf::new(Binding::read),
            validating: Shelf::new(Webhook::all),
            mutating: Shelf::new(Webhook::all),
        });
        follow(
            store,
            &all,
            &resources::VALIDATING_ADMISSION_POLICIES,
            |all| &all.policies,
        );
        follow(
            store,
            &all,
            &resources::VALIDATING_ADMISSION_POLICY_BINDINGS,
            |all| &all.bindings,
        );
        follow(
            store,
            &all,
            &resources::VALIDATING_WEBHOOK_CONFIGURATIONS,
            |all| &all.validating,
        );
        follow(
            store,
            &all,
            &resources::MUTATING_WEBHOOK_CONFIGURATIONS,
            |all| &all.mutating,
        );
        all
    }
}

fn follow<T: Send + Sync + 'static>(
    store: &Store,
    all: &Arc<Registered>,
    resource: &'static Resource,
    shelf: fn(&Registered) -> &Shelf<T>,
) {
    let all = Arc::clone(all);
    store.observe(&objects::prefix(resource, ""), move |event| {
        let (bytes, gone) = match &event.kind {
            EventKind::Put { value, .. } => (value, false),
            EventKind::Delete { previous } => (previous, true),
        };
        match objects::decode(bytes, event.revision) {
            Ok(object) if gone => shelf(&all).remove(object.name()),
            Ok(object) => shelf(&all).put(object),
            Err(error) => tracing::error!(key = %event.key, %error, "what is asked before writes cannot be read"),
        }
    });
}
