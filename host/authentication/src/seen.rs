//! Tokens that were verified lately. Clients bring the same one with every call.

use std::collections::HashMap;
use std::sync::Arc;

use crate::verified::Verified;

/// Tokens that are remembered.
const MOST: usize = 512;
/// Longer tokens are verified each time.
const LONGEST: usize = 4 * 1024;

/// A bounded memory of verified tokens for one thread. It forgets everything when the rules change.
#[derive(Debug, Default)]
pub struct Seen {
    /// The rules that verified them.
    by: Option<Arc<()>>,
    tokens: HashMap<Box<str>, (usize, Arc<Verified>)>,
}

impl Seen {
    /// Only what these rules verified is remembered from now on.
    pub(crate) fn follow(&mut self, rules: &Arc<()>) {
        if !self.by.as_ref().is_some_and(|by| Arc::ptr_eq(by, rules)) {
            self.tokens.clear();
            self.by = Some(Arc::clone(rules));
        }
    }

    /// A token that is still valid, with the place of the rule that verified it.
    pub(crate) fn find(&self, token: &str, now: u64) -> Option<(usize, &Arc<Verified>)> {
        let (rule, verified) = self.tokens.get(token)?;
        let valid = verified.until.is_none_or(|until| now <= until);
        valid.then_some((*rule, verified))
    }

    pub(crate) fn keep(&mut self, token: &str, rule: usize, verified: &Arc<Verified>, now: u64) {
        if token.len() > LONGEST {
            return;
        }
        if self.tokens.len() >= MOST {
            let valid = |verified: &Verified| verified.until.is_none_or(|until| now <= until);
            self.tokens.retain(|_, (_, verified)| valid(verified));
        }
        if self.tokens.len() >= MOST {
            self.tokens.clear();
        }
        self.tokens
            .insert(token.into(), (rule, Arc::clone(verified)));
    }
}
