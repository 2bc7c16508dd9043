//! Pods that are made to leave by others than their owner: why stands in their status, and they get their time to end.

use osier_api::Object;
use osier_api::resources::PODS;
use osier_client::{Client, ClientError, DeleteOptions, Part};
use osier_process::clock;
use serde_json::{Value, json};

use crate::conditions::{self, Condition};
use crate::reconcile::gone_is_fine;

/// Why a pod leaves: a reason of the condition `DisruptionTarget`, and words.
#[derive(Debug, Clone)]
pub(crate) struct Why {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// Says why the pod of this name and uid leaves, and deletes it. One that is gone, or leaves already, is left alone.
pub(crate) async fn evict(
    client: &Client,
    (namespace, name): (&str, &str),
    uid: &str,
    why: &Why,
) -> Result<(), ClientError> {
    let pod = match client.get(&PODS, namespace, name).await {
        Ok(pod) if pod.uid() == uid && pod.deletion_timestamp().is_none() => pod,
        Ok(_) => return Ok(()),
        Err(error) => return gone_is_fine(Err::<(), _>(error)),
    };
    let patch = json!({"metadata": {"uid": uid}, "status": {"conditions": targeted(&pod, why)}});
    let said = client.patch(&PODS, (namespace, name), patch, Part::Status);
    gone_is_fine(said.await)?;
    let options = DeleteOptions::exactly(&pod);
    let deleted = client.delete(&PODS, (namespace, name), &options);
    match deleted.await {
        // Another took its name.
        Err(error) if error.is_conflict() => Ok(()),
        other => gone_is_fine(other),
    }
}

fn targeted(pod: &Object, why: &Why) -> Vec<Value> {
    let list = pod.get(&["status", "conditions"]).and_then(Value::as_array);
    let mut list = list.cloned().unwrap_or_default();
    let condition = Condition {
        kind: "DisruptionTarget",
        status: "True",
        reason: why.reason,
        message: why.message.clone(),
    };
    conditions::put(&mut list, condition, clock::now());
    // A condition of a pod has no lastUpdateTime.
    for condition in list.iter_mut().filter_map(Value::as_object_mut) {
        if condition
            .get("type")
            .is_some_and(|kind| kind == "DisruptionTarget")
        {
            condition.remove("lastUpdateTime");
        }
    }
    list
}
