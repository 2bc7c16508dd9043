//! Which objects are encrypted where they are stored, and with which keys. Encryption is at the store's boundary: cache,
//! files and etcd hold envelopes, and nobody below knows.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use osier_identity::{EnvelopeError, KeyRing, sealed_with};

use super::entry::{Entry, Event, EventKind};
use super::error::StoreError;

/// Rules in their order: the first that covers an object is its rule. One that none covers is not encrypted.
#[derive(Debug, Default)]
pub struct Sealing {
    /// Each rule.
    pub rules: Vec<SealingRule>,
}

/// The objects of some resources, and their keys.
#[derive(Debug)]
pub struct SealingRule {
    /// As Kubernetes writes resources there: `secrets`, `deployments.apps`, `*.apps`, `*.*`.
    pub resources: Vec<String>,
    /// All keys that open. Without any, the objects stay as they are.
    pub keys: KeyRing,
    /// New objects are not encrypted; what is encrypted is still read.
    pub plain: bool,
}

impl SealingRule {
    /// Whether the rule is about an object, by its key: `group/resource/namespace/name`.
    fn covers(&self, key: &str) -> bool {
        let mut parts = key.split('/');
        let (group, plural) = (parts.next().unwrap_or_default(), parts.next());
        let group = if group == "core" { "" } else { group };
        self.resources.iter().any(|pattern| {
            let (resource, of) = pattern.split_once('.').unwrap_or((pattern, ""));
            let any = pattern == "*.*";
            any || of == group && (resource == "*" || Some(resource) == plural)
        })
    }

    fn first(&self) -> Option<&str> {
        self.keys.first().filter(|_| !self.plain)
    }
}

impl Sealing {
    fn rule(&self, key: &str) -> Option<&SealingRule> {
        self.rules.iter().find(|rule| rule.covers(key))
    }

    /// What is stored of an object's bytes.
    pub(super) fn seal(&self, key: &str, value: Bytes) -> Result<Bytes, StoreError> {
        match self.rule(key).filter(|rule| rule.first().is_some()) {
            None => Ok(value),
            Some(rule) => {
                let sealed = rule.keys.seal(key, &value);
                sealed
                    .map(Bytes::from)
                    .map_err(|error| refused(key, &error))
            }
        }
    }

    /// The bytes of what is stored of an object.
    pub(super) fn opened(&self, key: &str, stored: &Bytes) -> Result<Bytes, StoreError> {
        let Some(name) = sealed_with(stored) else {
            return Ok(stored.clone());
        };
        let opened = match self.rule(key) {
            Some(rule) => rule.keys.open(key, stored),
            None => Err(EnvelopeError::Unknown(name.to_owned())),
        };
        opened
            .map(Bytes::from)
            .map_err(|error| refused(key, &error))
    }

    /// The same; what does not open stays as it is, so that it is seen to be there and to be unreadable. When the store was opened
    /// everything opened.
    pub(super) fn open(&self, key: &str, stored: Bytes) -> Bytes {
        match self.opened(key, &stored) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(key, %error, "a stored object cannot be read");
                stored
            }
        }
    }

    /// An entry as it was put.
    pub(super) fn open_entry(&self, entry: Entry) -> Entry {
        if sealed_with(&entry.value).is_none() {
            return entry;
        }
        let value = self.open(&entry.key, entry.value);
        Entry { value, ..entry }
    }

    /// An event as it was made.
    pub(super) fn open_event<'a>(&self, event: &'a Event) -> Cow<'a, Event> {
        let (value, previous) = match &event.kind {
            EventKind::Put { value, previous } => (Some(value), previous.as_ref()),
            EventKind::Delete { previous } => (None, Some(previous)),
        };
        let mut all = value.into_iter().chain(previous);
        if all.all(|bytes| sealed_with(bytes).is_none()) {
            return Cow::Borrowed(event);
        }
        let open = |bytes: &Bytes| self.open(&event.key, bytes.clone());
        let kind = match &event.kind {
            EventKind::Put { value, previous } => EventKind::Put {
                value: open(value),
                previous: previous.as_ref().map(open),
            },
            EventKind::Delete { previous } => EventKind::Delete {
                previous: open(previous),
            },
        };
        Cow::Owned(Event {
            kind,
            ..event.clone()
        })
    }

    /// The same of a shared one.
    pub(super) fn open_shared(&self, event: Arc<Event>) -> Arc<Event> {
        match self.open_event(&event) {
            Cow::Borrowed(_) => event,
            Cow::Owned(opened) => Arc::new(opened),
        }
    }

    /// Refuses a state of which something does not open.
    pub(super) fn check(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut opened = entries
            .iter()
            .map(|entry| self.opened(&entry.key, &entry.value));
        opened.try_for_each(|opened| opened.map(drop))
    }

    /// Whether an object is not stored as its rule says.
    pub(super) fn is_stale(&self, entry: &Entry) -> bool {
        let wanted = self.rule(&entry.key).and_then(SealingRule::first);
        sealed_with(&entry.value) != wanted
    }
}

fn refused(key: &str, error: &EnvelopeError) -> StoreError {
    StoreError::Sealed {
        key: key.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_first_rule_that_covers_an_object_is_its_rule() {
        let rule = |resources: &[&str], name: &str| SealingRule {
            resources: resources.iter().map(|&one| one.to_owned()).collect(),
            keys: KeyRing::new(vec![(name.to_owned(), vec![1; 32])]).unwrap(),
            plain: false,
        };
        let rules = vec![
            rule(&["secrets", "deployments.apps"], "one"),
            rule(&["*.apps", "configmaps"], "two"),
            rule(&["*.*"], "three"),
        ];
        let sealing = Sealing { rules };
        for (key, name) in [
            ("core/secrets/default/a", "one"),
            ("apps/deployments/default/a", "one"),
            ("apps/replicasets/default/a", "two"),
            ("core/configmaps/default/secrets", "two"),
            ("core/pods/default/a", "three"),
            ("example.com/secrets/default/a", "three"),
        ] {
            let sealed = sealing.seal(key, Bytes::from_static(b"{}")).unwrap();
            assert_eq!(sealed_with(&sealed), Some(name), "{key}");
            assert_eq!(sealing.open(key, sealed), "{}");
        }
    }
}
