//! The hook `schedule`: a say in where a pod runs.

pub use osier_engine::plugin::hooks::extension::{Node as NodeView, Opinion, Pod as PodView};

use super::{Step, choose};
use crate::plugin::Unanswered;

/// The best score.
const BEST: u32 = 100;

impl Step {
    /// One opinion for each node, in order.
    pub(crate) fn score(
        &self,
        pod: &PodView<'_>,
        nodes: &[NodeView<'_>],
    ) -> Result<Vec<Opinion>, Unanswered> {
        let (opinions,): (Vec<Opinion>,) = self.asked.ask(|plugin| {
            let function = plugin.hooks().schedule.ok_or_else(choose::unexported)?;
            plugin.call_typed(function, (pod, nodes), nodes.len().saturating_mul(256))
        })?;
        let sound = |opinion: &Opinion| !matches!(opinion, Opinion::Score(score) if *score > BEST);
        if opinions.len() != nodes.len() || !opinions.iter().all(sound) {
            let what = format!(
                "{} opinions about {} nodes, or a score above {BEST}",
                opinions.len(),
                nodes.len()
            );
            return Err(self.asked.misanswered(what));
        }
        self.asked.count(true);
        Ok(opinions)
    }
}
