//! News that many watches tell: thousands may watch the same objects, and each change is decoded and written down once for
//! all of them. What is kept are the newest few small ones; whoever comes late or asks otherwise does the work again.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use osier_api::{Object, Status};
use parking_lot::Mutex;

use crate::objects;
use osier_answers::Representation;

/// So many objects, and as many lines, are kept.
const KEPT: usize = 64;
/// None is larger than this, so that all of them are a few MiB.
const LARGEST: usize = 32 * 1024;

/// What was made of the newest changes, the newest last.
type Kept<K, V> = Mutex<VecDeque<(K, V)>>;

/// The newest changes.
#[derive(Default)]
pub(crate) struct News {
    /// By the revision of the change, and whether it is the object before it.
    objects: Kept<(u64, bool), Arc<Object>>,
    lines: Kept<Telling, Bytes>,
}

/// What a line says, and how.
#[derive(Clone, PartialEq)]
pub(super) struct Telling {
    pub(super) revision: u64,
    pub(super) kind: &'static str,
    pub(super) api_version: String,
    pub(super) representation: Representation,
}

impl News {
    /// The object of a change, decoded.
    pub(super) fn object(&self, change: (u64, bool), bytes: &[u8]) -> Result<Arc<Object>, Status> {
        if let Some(known) = find(&self.objects, &change) {
            return Ok(known);
        }
        let object = Arc::new(objects::decode(bytes, change.0)?);
        if bytes.len() <= LARGEST {
            keep(&self.objects, change, Arc::clone(&object));
        }
        Ok(object)
    }

    /// A line, written once.
    pub(super) fn line(
        &self,
        telling: Telling,
        write: impl FnOnce() -> Result<Vec<u8>, Status>,
    ) -> Result<Bytes, Status> {
        if let Some(known) = find(&self.lines, &telling) {
            return Ok(known);
        }
        let line = Bytes::from(write()?);
        if line.len() <= LARGEST {
            keep(&self.lines, telling, line.clone());
        }
        Ok(line)
    }
}

fn find<K: PartialEq, V: Clone>(kept: &Kept<K, V>, wanted: &K) -> Option<V> {
    let kept = kept.lock();
    // The newest are asked for most.
    let found = kept.iter().rev().find(|(key, _)| key == wanted);
    found.map(|(_, value)| value.clone())
}

fn keep<K, V>(kept: &Kept<K, V>, key: K, value: V) {
    let mut kept = kept.lock();
    if kept.len() >= KEPT {
        kept.pop_front();
    }
    kept.push_back((key, value));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_change_is_decoded_and_written_once_and_few_are_kept() {
        let news = News::default();
        let bytes = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#;
        let first = news.object((7, false), bytes).unwrap();
        assert_eq!(first.resource_version(), 7);
        assert!(Arc::ptr_eq(
            &first,
            &news.object((7, false), bytes).unwrap()
        ));
        assert!(!Arc::ptr_eq(
            &first,
            &news.object((7, true), bytes).unwrap()
        ));
        let telling = |revision| Telling {
            revision,
            kind: "ADDED",
            api_version: "v1".to_owned(),
            representation: Representation::Json,
        };
        let mut written = 0;
        for revision in (1..=100).chain([100, 1]) {
            let line = || {
                written += 1;
                Ok(vec![b'x'])
            };
            news.line(telling(revision), line).unwrap();
        }
        assert_eq!(written, 101, "the last is known, the first forgotten");
        let large = news.line(telling(200), || Ok(vec![0; LARGEST + 1]));
        let large = large.unwrap();
        assert_eq!(large.len(), LARGEST + 1);
        assert_eq!(news.lines.lock().len(), KEPT);
    }
}
