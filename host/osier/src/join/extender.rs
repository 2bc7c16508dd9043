//! The hook `schedule`: the scheduler asks the policies of this node which of the nodes that a pod fits suits it.

use super::reviews::PluginReviews;
use osier_api::Object;
use osier_control::{Candidate, Extender, Opinion};
use osier_policy::{NodeView, PodView};
use std::sync::Arc;

/// The scheduler's door to the policies.
pub(crate) struct PolicyExtender(pub(crate) Arc<PluginReviews>);

impl Extender for PolicyExtender {
    fn is_there(&self) -> bool {
        // Until they are known nobody can tell what they would refuse.
        let policies = self.0.policies();
        policies.is_none_or(|policies| policies.has_schedules())
    }

    fn opinions(&self, pod: &Object, candidates: &[Candidate]) -> Result<Vec<Opinion>, String> {
        let policies = self.0.policies();
        let policies = policies.ok_or("the policies are not loaded yet")?;
        let object = pod.to_value().to_string();
        let seen = PodView {
            namespace: pod.namespace(),
            name: pod.name(),
            labels: pod.labels().into_iter().collect(),
            object: &object,
        };
        let views: Vec<NodeView<'_>> = candidates.iter().map(view).collect();
        let opinions = policies.schedule(&seen, &views)?;
        Ok(opinions.into_iter().map(said).collect())
    }
}

fn view(candidate: &Candidate) -> NodeView<'_> {
    let labels = candidate.labels.iter();
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let few = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    NodeView {
        name: &candidate.name,
        labels: labels
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect(),
        free_cpu: whole(candidate.free.cpu),
        free_memory: whole(candidate.free.memory),
        pods: few(candidate.pods),
        siblings: few(candidate.siblings),
    }
}

fn said(opinion: osier_policy::Opinion) -> Opinion {
    match opinion {
        osier_policy::Opinion::Infeasible(why) => Opinion::Infeasible(why),
        osier_policy::Opinion::Score(score) => Opinion::Score(score),
    }
}
