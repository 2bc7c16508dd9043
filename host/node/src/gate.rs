//! Joins policy to the proxy's gate.

use osier_proxy::{Approval, Call, Gate, Record, Verdict};

/// The gate of this node.
pub(crate) struct PolicyGate;

impl PolicyGate {
    pub(crate) fn new(_root: &str) -> Self {
        Self
    }
}

impl Gate for PolicyGate {
    fn check(&self, _call: &Call<'_>) -> Verdict {
        Verdict::Allow(Approval::default())
    }

    fn report(&self, _record: &Record<'_>) {}
}
