//! [`Notes`]: what the audit log is told of a request beside who asked for what.

use parking_lot::Mutex;

/// No more are kept of one request.
const MOST: usize = 64;

/// Annotations of one request, by key.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Vec<(String, String)>>);

impl Notes {
    /// Adds one; of one key the last counts.
    pub fn add(&self, key: impl Into<String>, text: impl Into<String>) {
        let (key, text) = (key.into(), text.into());
        let mut all = self.0.lock();
        all.retain(|(known, _)| *known != key);
        if all.len() < MOST {
            all.push((key, text));
        }
    }

    /// Takes what was added.
    pub(crate) fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.0.lock())
    }
}
