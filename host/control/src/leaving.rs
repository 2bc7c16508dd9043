//! Pods that are made to leave by others than their owner: why stands in their status, and they get their time to end.

use osier_api::Object;
use osier_api::resources::PODS;
use osier_client::{Client, ClientError, DeleteOptions, Part};
use osier_process::clock;
use serde_json::{Value, json};

use crate::conditions::{self, Condition};
use crate::facts;
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
    let found = found(client, (namespace, name), uid).await?;
    let Some(pod) = found.filter(|pod| pod.deletion_timestamp().is_none()) else {
        return Ok(());
    };
    let status = json!({"conditions": targeted(&pod, why)});
    leave(client, (&pod, status), &DeleteOptions::exactly(&pod)).await
}

/// Says that the pod of this name and uid failed, and removes it at once: where it ran nobody is left to end it.
pub(crate) async fn abandon(
    client: &Client,
    (namespace, name): (&str, &str),
    uid: &str,
    why: &Why,
) -> Result<(), ClientError> {
    let Some(pod) = found(client, (namespace, name), uid).await? else {
        return Ok(());
    };
    let ended = facts::is_finished(&pod).then(|| facts::phase(&pod));
    let status = json!({"phase": ended.unwrap_or("Failed"), "conditions": targeted(&pod, why)});
    let options = DeleteOptions {
        grace: Some(0),
        ..DeleteOptions::exactly(&pod)
    };
    leave(client, (&pod, status), &options).await
}

/// The pod of this name, if it is still the one.
async fn found(
    client: &Client,
    (namespace, name): (&str, &str),
    uid: &str,
) -> Result<Option<Object>, ClientError> {
    match client.get(&PODS, namespace, name).await {
        Ok(pod) => Ok((pod.uid() == uid).then_some(pod)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn leave(
    client: &Client,
    (pod, status): (&Object, Value),
    options: &DeleteOptions,
) -> Result<(), ClientError> {
    let of = (pod.namespace(), pod.name());
    let patch = json!({"metadata": {"uid": pod.uid()}, "status": status});
    gone_is_fine(client.patch(&PODS, of, patch, Part::Status).await)?;
    match client.delete(&PODS, of, options).await {
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
