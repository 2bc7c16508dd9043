//! List: one state of a resource, whole or in pages.

use osier_api::{Details, Object, Status};

use super::Registry;
use super::page::Token;
use crate::objects;
use crate::query::{ListOptions, Since};
use crate::target::Address;
use osier_answers::ListMeta;
use osier_store::{Entry, Key, Range, Slice, StoreError};

/// Objects that are read at a time where not all of them are wanted.
const BATCH: usize = 500;

impl Registry {
    /// Shows the objects of entries to `visit`, in the version of the request.
    pub(crate) async fn show(
        &self,
        address: &Address,
        entries: &[Entry],
        visit: &mut (dyn FnMut(Object) -> Result<(), Status> + Send),
    ) -> Result<(), Status> {
        for entries in entries.chunks(BATCH) {
            let read: Result<Vec<Object>, Status> = entries.iter().map(objects::read).collect();
            for object in self.all_presented(address, read?).await? {
                visit(object)?;
            }
        }
        Ok(())
    }

    /// Every object that is asked for as it is stored, in the order of their keys.
    pub(crate) async fn select(
        &self,
        address: &Address,
        options: &ListOptions,
    ) -> Result<(ListMeta, Vec<Entry>), Status> {
        check_fields(address, options)?;
        let place = place(address, options);
        let prefix = place.prefix();
        let (after, at) = self.start(prefix, options)?;
        let after = after.as_deref();
        if !options.selective && address.name.is_empty() {
            let slice = self.slice((prefix, options.limit), after, at).await?;
            let token = (slice.left > 0).then(|| slice.entries.last()).flatten();
            let token = token.map(|last| Token::new(slice.revision, &last.key).encode());
            let meta = ListMeta {
                revision: slice.revision,
                remaining: token.is_some().then_some(slice.left),
                token,
            };
            return Ok((meta, slice.entries));
        }
        let slice = self.slice((prefix, 0), after, at).await?;
        let mut meta = ListMeta {
            revision: slice.revision,
            ..ListMeta::default()
        };
        let mut chosen = Vec::new();
        let last = slice.entries.last().map(|entry| entry.key.clone());
        for entries in slice.entries.chunks(BATCH) {
            let seen = self.seen(address, options, entries).await?;
            for (entry, object) in entries.iter().zip(&seen) {
                if !matches(address, options, object)? {
                    continue;
                }
                chosen.push(entry.clone());
                if chosen.len() == options.limit && Some(&entry.key) != last.as_ref() {
                    meta.token = Some(Token::new(slice.revision, &entry.key).encode());
                    return Ok((meta, chosen));
                }
            }
        }
        Ok((meta, chosen))
    }

    /// As much of some objects as the selectors look at.
    async fn seen(
        &self,
        address: &Address,
        options: &ListOptions,
        entries: &[Entry],
    ) -> Result<Vec<Object>, Status> {
        if options.fields.is_empty() {
            return entries.iter().map(objects::head).collect();
        }
        let read: Result<Vec<Object>, Status> = entries.iter().map(objects::read).collect();
        self.all_presented(address, read?).await
    }

    /// After which key a list begins, and of which revision it is; of the newest, if it does not matter.
    fn start(
        &self,
        prefix: &str,
        options: &ListOptions,
    ) -> Result<(Option<String>, Option<u64>), Status> {
        if let Some(text) = &options.token {
            let token = Token::decode(text, prefix)?;
            return Ok((Some(token.start), (token.rv > 0).then_some(token.rv)));
        }
        if let Since::NotOlder(wanted) | Since::Exact(wanted) = options.since {
            self.check_reached(wanted)?;
        }
        Ok(match options.since {
            Since::Exact(revision) => (None, Some(revision)),
            _ => (None, None),
        })
    }

    async fn slice(
        &self,
        (prefix, limit): (&str, usize),
        after: Option<&str>,
        at: Option<u64>,
    ) -> Result<Slice, Status> {
        let range = Range {
            prefix,
            after,
            limit,
        };
        let paging = after.is_some();
        let read = self.store.slice(range, at).await;
        read.map_err(|error| too_old(error, (at.unwrap_or_default(), paging)))
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

/// What a failure to read an older state means to who asked for it, or for the next page of it.
fn too_old(error: StoreError, (revision, paging): (u64, bool)) -> Status {
    match (error, paging) {
        (StoreError::Compacted { .. }, true) => Status::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new \
             list without the continue parameter, or use the continue token in this response to retrieve the \
             remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
             that were created, modified, or deleted between the time the first chunk was returned and now may \
             show up in the list.",
        ),
        (StoreError::Compacted { .. }, false) => Status::expired(format!(
            "The resourceVersion for the provided list is too old: {revision}."
        )),
        (error, _) => objects::unavailable(&error),
    }
}

/// Where in the store stands what is asked for.
pub(super) enum Place {
    /// Below this prefix.
    Under(String),
    /// At the key of the one object whose name is asked for, so that neither a list nor a watch looks at others.
    At(Key),
}

impl Place {
    /// What the keys begin with.
    pub(super) fn prefix(&self) -> &str {
        match self {
            Self::Under(prefix) => prefix,
            Self::At(key) => key,
        }
    }
}

pub(super) fn place(address: &Address, options: &ListOptions) -> Place {
    let (resource, namespace) = (address.resource, address.namespace.as_str());
    let asked = options.fields.requires("metadata.name").unwrap_or_default();
    let name = match address.name.as_str() {
        "" => asked,
        name => name,
    };
    let placed = !resource.namespaced || !namespace.is_empty();
    if name.is_empty() || !placed {
        Place::Under(objects::prefix(resource, namespace))
    } else {
        Place::At(objects::key(resource, namespace, name))
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
