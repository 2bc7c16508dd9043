//! A say in where pods run, beside the scheduler's own rules.

use osier_api::Object;
use osier_scheduling::{Candidate, Opinion};

/// Whoever has a say: policies with the hook `schedule`, of which this crate knows nothing. As Kubernetes' scheduler extenders, in the same process.
pub trait Extender: Send + Sync {
    /// Whether anybody has one; otherwise nobody is asked.
    fn is_there(&self) -> bool;

    /// One opinion for each node, in order. Short: the next decision waits.
    ///
    /// # Errors
    /// There is no answer, and the pod must not run without.
    fn opinions(&self, pod: &Object, candidates: &[Candidate]) -> Result<Vec<Opinion>, String>;
}
