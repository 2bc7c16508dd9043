//! [`Catalogue`]: the kinds that are served at one moment, and the documents that tell of them.
//!
//! It is one immutable value, made anew and put in place of the old one when a definition comes, changes or goes; a
//! request reads one from begin to end and waits for nobody.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use osier_api::{Object, Resource, resources};
use osier_custom::Definition;
use osier_discovery::{Discovery, Document, Entry, OpenApi};

use crate::target::{Address, Served};

/// What is served.
pub(crate) struct Catalogue {
    /// By group and plural.
    custom: BTreeMap<(&'static str, &'static str), Definition>,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: OpenApi,
    /// OpenAPI v2 in JSON: megabytes that few ask for, made when somebody does.
    swagger: OnceLock<Document>,
}

/// The kinds of ours, and those of these definitions.
fn entries<'a>(definitions: impl IntoIterator<Item = &'a Definition>) -> Vec<Entry<'a>> {
    let mut entries = osier_discovery::built_in();
    let versions = definitions.into_iter().flat_map(|one| &one.versions);
    entries.extend(versions.map(|version| Entry {
        resource: version.resource,
        document: Some(&version.document),
    }));
    entries
}

impl Catalogue {
    /// The kinds of ours and these; the documents that do not change are taken from the catalogue before.
    pub(crate) fn new(definitions: Vec<Definition>, before: Option<&Self>) -> Self {
        let entries = entries(&definitions);
        let discovery = Discovery::new(&entries);
        let openapi = OpenApi::new(&entries, before.map(|before| &before.openapi));
        let named = definitions.into_iter().filter_map(|one| {
            let resource = one.versions.first()?.resource;
            Some(((resource.group, resource.plural), one))
        });
        Self {
            custom: named.collect(),
            discovery,
            openapi,
            swagger: OnceLock::new(),
        }
    }

    /// OpenAPI v2 in JSON.
    pub(crate) fn swagger(&self) -> &Document {
        self.swagger
            .get_or_init(|| osier_discovery::swagger(&entries(self.custom.values())))
    }

    /// The kind of a path such as `/apis/GROUP/VERSION/PLURAL`.
    pub(crate) fn by_plural(&self, group: &str, version: &str, plural: &str) -> Option<Served> {
        if let Some(resource) = resources::by_plural(group, version, plural) {
            return Some(Served {
                resource,
                custom: None,
            });
        }
        let mut versions = self.custom.get(&(group, plural))?.versions.iter();
        let found = versions.find(|one| one.resource.storage_version() == version)?;
        Some(Served {
            resource: found.resource,
            custom: Some(found.clone()),
        })
    }

    /// The kind that a manifest names.
    pub(crate) fn by_kind(&self, api_version: &str, kind: &str) -> Option<&'static Resource> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        if let Some(ours) = resources::by_kind(group, kind).filter(|one| one.serves(version)) {
            return Some(ours);
        }
        let versions = self.custom.values().flat_map(|one| &one.versions);
        let mut named = versions.map(|one| one.resource);
        named.find(|one| one.group == group && one.kind == kind && one.serves(version))
    }

    /// What was compiled of a definition before, if it is still the same.
    pub(crate) fn known(&self, definition: &Object) -> Option<&Definition> {
        let mut all = self.custom.values();
        all.find(|one| one.is_of(definition))
    }

    /// Whether what an address means is still what it meant.
    pub(crate) fn has(&self, address: &Address) -> bool {
        let Some(custom) = &address.custom else {
            return true;
        };
        let (group, plural) = (address.resource.group, address.resource.plural);
        let now = self.by_plural(group, &address.version, plural);
        let now = now.and_then(|now| now.custom);
        now.is_some_and(|now| Arc::ptr_eq(&now, custom))
    }

    /// Every stored kind once.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &'static Resource> {
        let custom = self.custom.values().filter_map(|one| one.versions.first());
        let custom = custom.map(|version| version.resource);
        resources::all().iter().copied().chain(custom)
    }
}
