//! List: one state of a resource, whole or in pages.

use osier_api::{Details, Object, Status};

use super::Registry;
use super::page::Token;
use crate::objects;
use crate::query::{ListOptions, Since};
use crate::render::ListMeta;
use crate::target::Address;
use osier_store::{Entry, StoreError};

impl Registry {
    /// Shows every object that is asked for to `visit`, in the order of their keys.
    pub(crate) async fn list(
        &self,
        address: &Address,
        options: &ListOptions,
        visit: &mut (dyn FnMut(Object) -> Result<(), Status> + Send),
    ) -> Result<ListMeta, Status> {
        check_fields(address, options)?;
        let prefix = place(address, options);
        let (revision, entries, start) = self.page(&prefix, options).await?;
        let rest = &entries[start..];
        let mut shown = 0;
        for (index, entry) in rest.iter().enumerate() {
            let object = objects::read(entry)?;
            if matches(address, options, &object)? {
                visit(object)?;
                shown += 1;
            }
            let left = rest.len() - index - 1;
            if options.limit > 0 && shown >= options.limit && left > 0 {
                let token = Token::new(revision, &entry.key).encode();
                return Ok(ListMeta {
                    revision,
                    token: Some(token),
                    remaining: (!options.selective).then_some(left),
                });
            }
        }
        Ok(ListMeta {
            revision,
            token: None,
            remaining: None,
        })
    }

    /// The state that is asked for, and where in it the page begins.
    async fn page(
        &self,
        prefix: &str,
        options: &ListOptions,
    ) -> Result<(u64, Vec<Entry>, usize), Status> {
        if let Some(text) = &options.token {
            let token = Token::decode(text, prefix)?;
            let (revision, entries) = match token.rv {
                0 => self.store.list(prefix),
                revision => (revision, self.at(prefix, revision, true).await?),
            };
            let start = entries.partition_point(|entry| *entry.key <= *token.start);
            return Ok((revision, entries, start));
        }
        if let Since::NotOlder(wanted) | Since::Exact(wanted) = options.since {
            self.check_reached(wanted)?;
        }
        if let Since::Exact(revision) = options.since {
            return Ok((revision, self.at(prefix, revision, false).await?, 0));
        }
        let (revision, entries) = self.store.list(prefix);
        Ok((revision, entries, 0))
    }

    async fn at(&self, prefix: &str, revision: u64, paging: bool) -> Result<Vec<Entry>, Status> {
        self.store.list_at(prefix, revision).await.map_err(|error| match (error, paging) {
            (StoreError::Compacted { .. }, true) => {
                Status::expired(
                    "The provided continue parameter is too old to display a consistent list result. You can start a new \
                     list without the continue parameter, or use the continue token in this response to retrieve the \
                     remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
                     that were created, modified, or deleted between the time the first chunk was returned and now may \
                     show up in the list.",
                )
            }
            (StoreError::Compacted { .. }, false) => {
                Status::expired(format!("The resourceVersion for the provided list is too old: {revision}."))
            }
            (error, _) => objects::unavailable(&error),
        })
    }

    /// A state of the future cannot be shown.
    pub(super) fn check_reached(&self, wanted: u64) -> Result<(), Status> {
        let current = self.store.revision();
        if wanted > current {
            let words = format!("Too large resource version: {wanted}, current: {current}");
            let details = Details {
                retry_after_seconds: Some(1),
                ..Details::default()
            };
            return Err(Status::new(504, "Timeout", words).on(details));
        }
        Ok(())
    }
}

/// Where in the store stands what is asked for: below the key of one object where its name is, so that neither a list nor a watch
/// looks at the others.
pub(super) fn place(address: &Address, options: &ListOptions) -> String {
    let (resource, namespace) = (address.resource, address.namespace.as_str());
    let asked = options.fields.requires("metadata.name").unwrap_or_default();
    let name = match address.name.as_str() {
        "" => asked,
        name => name,
    };
    let placed = !resource.namespaced || !namespace.is_empty();
    if name.is_empty() || !placed {
        objects::prefix(resource, namespace)
    } else {
        objects::key(resource, namespace, name).to_string()
    }
}

/// Whether an object is among those asked for.
pub(super) fn matches(
    address: &Address,
    options: &ListOptions,
    object: &Object,
) -> Result<bool, Status> {
    if !address.name.is_empty() && object.name() != address.name {
        return Ok(false);
    }
    if !options.selective {
        return Ok(true);
    }
    let fields = options
        .fields
        .matches(address.resource, address.selectable(), object);
    let fields = fields.map_err(|error| Status::bad_request(error.to_string()))?;
    Ok(fields && options.labels.selects(object))
}

/// Refuses a field that cannot be selected by, also where there is no object to see it on.
pub(super) fn check_fields(address: &Address, options: &ListOptions) -> Result<(), Status> {
    options
        .fields
        .check(address.resource, address.selectable())
        .map_err(|error| Status::bad_request(error.to_string()))
}
