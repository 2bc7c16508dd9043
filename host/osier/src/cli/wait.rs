//! `osier wait`: until an object has a condition, or is gone.

use super::apply::full_name;
use super::get::split;
use super::kinds::named;
use crate::arguments::Wait;
use anyhow::{Context as _, anyhow, bail};
use osier_api::{Object, Resource};
use osier_client::{Client, Query, RECONNECT, WatchEvent};
use serde_json::Value;
use std::time::Duration;

/// What is waited for.
#[derive(Debug, PartialEq, Eq)]
enum Goal {
    /// The object is gone.
    Deleted,
    /// A condition of its status has this value; both in any case.
    Condition { name: String, value: String },
}

/// Waits.
pub(crate) async fn wait(wait: &Wait) -> anyhow::Result<()> {
    let (resource, name) = split(&wait.object, wait.name.as_deref());
    let name = name.with_context(|| format!("{resource}: which one? Write {resource}/NAME"))?;
    let goal = Goal::parse(&wait.goal)?;
    let client = super::connect(&wait.connection)?;
    let resource = named(&client, resource).await?;
    let namespace = if resource.namespaced {
        wait.connection.namespace.as_str()
    } else {
        ""
    };
    let limit = Duration::from_secs(wait.timeout);
    let reached = tokio::time::timeout(limit, reached(&client, (resource, namespace, name), &goal));
    let late = |_| {
        anyhow!(
            "timed out waiting for the condition on {}/{name}",
            resource.plural
        )
    };
    reached.await.map_err(late)??;
    println!("{}/{name} condition met", full_name(resource));
    Ok(())
}

/// Looks, then watches from what it saw; anew when the watch ends.
async fn reached(
    client: &Client,
    (resource, namespace, name): (&'static Resource, &str, &str),
    goal: &Goal,
) -> anyhow::Result<()> {
    let query = Query::by_fields(format!("metadata.name={name}"));
    loop {
        let seen = client.list(resource, namespace, &query).await?;
        let object = seen.items.first();
        if object.is_none() && *goal != Goal::Deleted {
            bail!("{} {name:?} not found", resource.plural);
        }
        if goal.is_reached(object) {
            return Ok(());
        }
        let from = seen.resource_version;
        let mut watch = client.watch(resource, namespace, &query, from).await?;
        while let Some(Ok(event)) = watch.next().await {
            let reached = match &event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    goal.is_reached(Some(object))
                }
                WatchEvent::Deleted(_) => goal.is_reached(None),
                WatchEvent::Bookmark(_) => false,
            };
            if reached {
                return Ok(());
            }
        }
        tokio::time::sleep(RECONNECT.after(1)).await;
    }
}

impl Goal {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let Some(condition) = text.strip_prefix("condition=") else {
            return match text {
                "delete" => Ok(Self::Deleted),
                _ => bail!("--for {text}: write condition=NAME, condition=NAME=VALUE or delete"),
            };
        };
        let (name, value) = condition.split_once('=').unwrap_or((condition, "true"));
        if name.is_empty() {
            bail!("--for {text}: the condition has no name; write condition=Ready");
        }
        Ok(Self::Condition {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }

    fn is_reached(&self, object: Option<&Object>) -> bool {
        match (self, object) {
            (Self::Deleted, object) => object.is_none(),
            (Self::Condition { .. }, None) => false,
            (Self::Condition { name, value }, Some(object)) => {
                let conditions = object
                    .get(&["status", "conditions"])
                    .and_then(Value::as_array);
                let is = |found: &Value, wanted: &str| {
                    let found = found.as_str().unwrap_or_default();
                    found.eq_ignore_ascii_case(wanted)
                };
                let mut conditions = conditions.into_iter().flatten();
                conditions.any(|one| is(&one["type"], name) && is(&one["status"], value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_goal_is_a_condition_with_its_value_or_the_end() {
        let pod = |status: &str| {
            let condition = json!({"type": "Ready", "status": status});
            let pod = json!({"metadata": {"name": "a"}, "status": {"conditions": [condition]}});
            Object::from_value(pod).unwrap()
        };
        let reached =
            |goal: &str, object: Option<&Object>| Goal::parse(goal).unwrap().is_reached(object);
        assert!(reached("condition=Ready", Some(&pod("True"))));
        assert!(reached("condition=ready=false", Some(&pod("False"))));
        assert!(!reached("condition=Ready", Some(&pod("False"))));
        assert!(!reached("condition=Available", Some(&pod("True"))));
        assert!(!reached("condition=Ready", None));
        assert!(reached("delete", None) && !reached("delete", Some(&pod("True"))));
        for wrong in ["", "ready", "condition=", "condition==True"] {
            let told = Goal::parse(wrong).unwrap_err().to_string();
            assert!(told.contains("write condition="), "{told}");
        }
    }
}
