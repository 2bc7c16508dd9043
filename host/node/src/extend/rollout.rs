//! Canaries of plugins: stopped on every node once they are stopped on one, and told in the policy's status.

use osier_api::Object;
use osier_policy::{CompiledPolicy, RolloutState};
use osier_standing::Told;
use serde_json::Value;

/// The condition of a policy's rollout.
pub(super) const CONDITION: &str = "Rollout";
const ABORTED: &str = "Aborted";
const PROGRESSING: &str = "Progressing";

/// The plugin that a policy rolls out.
pub(super) fn canary(spec: &Value) -> Option<&str> {
    spec["rollout"]["plugin"].as_str()
}

/// Stops a rollout that the status says was stopped: by another node, or before this one was started anew. A changed policy begins again.
pub(super) fn heed(object: &Object, policy: &CompiledPolicy) {
    if let Some(reason) = aborted(object) {
        policy.stop_rollout(reason);
    }
}

fn aborted(object: &Object) -> Option<&str> {
    let conditions = object.get(&["status", "conditions"])?.as_array()?;
    let own = |condition: &&Value| {
        condition["type"] == CONDITION
            && condition["reason"] == ABORTED
            && condition["observedGeneration"] == object.generation()
    };
    conditions.iter().find(own)?["message"].as_str()
}

/// How it goes on this node: the reason of the condition, and its message.
pub(super) fn words(state: &RolloutState<'_>) -> (String, String) {
    let (reason, message) = match state {
        RolloutState::Progressing { plugin, percent } => (
            PROGRESSING,
            format!("plugin {plugin} is asked about {percent}% of calls"),
        ),
        RolloutState::Stopped { reason } => (ABORTED, (*reason).to_owned()),
        RolloutState::Unavailable { reason } => ("PluginUnavailable", (*reason).to_owned()),
    };
    (reason.to_owned(), message)
}

/// The condition that such words make.
pub(super) fn told((reason, message): &(String, String)) -> Told {
    (reason == PROGRESSING, reason.clone(), message.clone())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_policy_as_it_is_was_stopped() {
        let told = |generation: i64| {
            let condition = json!({"type": "Rollout", "reason": "Aborted", "message": "too slow", "observedGeneration": 2});
            let object = json!({"metadata": {"generation": generation}, "status": {"conditions": [condition]}});
            let object = Object::from_value(object).unwrap();
            aborted(&object).map(str::to_owned)
        };
        assert_eq!(told(2).as_deref(), Some("too slow"));
        assert_eq!(told(3), None);
    }
}
