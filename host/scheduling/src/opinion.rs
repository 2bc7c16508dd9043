//! What others think of the nodes that a pod fits: a say beside the scheduler's own rules. Pure.

use std::collections::{BTreeMap, HashMap};

use osier_api::Object;

use crate::demand::Demand;

/// A node that fits a pod by the scheduler's own rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What nobody has asked for yet.
    pub free: Demand,
    /// Pods that stand there, or will.
    pub pods: usize,
    /// Those among them of the same controller as the pod.
    pub siblings: usize,
}

/// What somebody thinks of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// The pod must not run there, and why.
    Infeasible(String),
    /// It may; more is better.
    Score(u32),
}

/// Opinions by node.
#[derive(Debug, Clone, Default)]
pub struct Opinions(Option<HashMap<String, Opinion>>);

impl Opinions {
    /// What was thought of candidates, in their order.
    pub fn of(candidates: Vec<Candidate>, opinions: Vec<Opinion>) -> Self {
        let names = candidates.into_iter().map(|candidate| candidate.name);
        Self(Some(names.zip(opinions).collect()))
    }

    /// Why the pod must not run on a node. A node of which nobody was asked (it fits only since then) waits for another turn.
    pub(crate) fn refuse(&self, node: &str) -> Option<&str> {
        match self.0.as_ref()?.get(node) {
            Some(Opinion::Infeasible(why)) => Some(why),
            Some(Opinion::Score(_)) => None,
            None => Some("node(s) were not looked at by a plugin yet"),
        }
    }

    /// Nobody was asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn score(&self, node: &str) -> i64 {
        let opinion = self.0.as_ref().and_then(|all| all.get(node));
        match opinion {
            Some(Opinion::Score(score)) => i64::from(*score),
            _ => 0,
        }
    }
}

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
