//! Tells people what of their routes is not in force: a condition on the object that they applied,
//! or an event where the object has no place for one. Only what changed is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::{Object, Resource};
use osier_client::{Client, Part, Recorder, Reference};
use osier_process::clock;
use osier_snapshot::{Finding, FindingKind, Kind};
use serde_json::{Value, json};

use super::Mirrors;
use super::listeners::{ObjectKey, Told};

/// Findings named in one message; the rest is counted.
const NAMED: usize = 8;
const CONDITION: &str = "Accepted";

pub(super) struct Findings {
    client: Client,
    recorder: Recorder,
    /// What was last told about objects without conditions.
    told: BTreeMap<ObjectKey, String>,
}

impl Findings {
    pub(super) fn new(client: Client, recorder: Recorder) -> Self {
        Self {
            client,
            recorder,
            told: BTreeMap::new(),
        }
    }

    pub(super) async fn tell(&mut self, mirrors: &Mirrors, told: Told) {
        let mut by_object: BTreeMap<ObjectKey, Vec<Finding>> = BTreeMap::new();
        for finding in told.findings {
            let key = (
                finding.resource,
                finding.namespace.clone(),
                finding.name.clone(),
            );
            by_object.entry(key).or_default().push(finding);
        }
        for informer in [
            &mirrors.virtual_services,
            &mirrors.destination_rules,
            &mirrors.gateways,
            &mirrors.service_entries,
            &mirrors.workload_entries,
            &mirrors.workload_groups,
            &mirrors.sidecars,
            &mirrors.peer_authentications,
        ] {
            for object in informer.list() {
                let key = (
                    Kind::of(informer.resource()),
                    object.namespace().to_owned(),
                    object.name().to_owned(),
                );
                let findings = by_object.remove(&key).unwrap_or_default();
                let listeners = told.listeners.get(&key).map(Vec::as_slice);
                let said = (findings.as_slice(), listeners.unwrap_or_default());
                self.write(informer.resource(), &object, said).await;
            }
        }
        self.events(mirrors, by_object);
    }

    async fn write(
        &self,
        resource: &Resource,
        object: &Arc<Object>,
        (findings, listeners): (&[Finding], &[Value]),
    ) {
        let known = object.get(&["status", "listeners"]);
        let known = known.and_then(Value::as_array).map(Vec::as_slice);
        let changed = (known.unwrap_or_default() != listeners).then_some(listeners);
        let conditions = conditions(object, findings);
        if conditions.is_none() && changed.is_none() {
            return;
        }
        let mut status = json!({"observedGeneration": object.generation()});
        if let Some(conditions) = conditions {
            status["conditions"] = conditions.into();
        }
        if let Some(listeners) = changed {
            status["listeners"] = listeners.into();
        }
        let patch = json!({"metadata": {"uid": object.uid()}, "status": status});
        let of = (object.namespace(), object.name());
        if let Err(error) = self.client.patch(resource, of, patch, Part::Status).await {
            tracing::debug!(%error, name = of.1, "a condition is not written; it is tried again with the next snapshot");
        }
    }

    fn events(&mut self, mirrors: &Mirrors, found: BTreeMap<ObjectKey, Vec<Finding>>) {
        let mut now = BTreeMap::new();
        for (key, findings) in found {
            let message = message(&findings);
            let informers = [&mirrors.services, &mirrors.pods, &mirrors.ingresses];
            let object = informers
                .iter()
                .find(|informer| Kind::of(informer.resource()) == key.0)
                .and_then(|informer| informer.get(&key.1, &key.2));
            if let Some(object) = object
                && self.told.get(&key) != Some(&message)
            {
                self.recorder
                    .warning(&Reference::to(&object), "NotInForce", message.as_str());
            }
            now.insert(key, message);
        }
        self.told = now;
    }
}

/// The object's conditions with ours, or nothing if it says that already. Pure but for the time of a change.
fn conditions(object: &Object, findings: &[Finding]) -> Option<Vec<Value>> {
    let worst = findings
        .iter()
        .any(|finding| finding.kind != FindingKind::NotApplied);
    let (status, reason) = match (findings.is_empty(), worst) {
        (true, _) => ("True", "Accepted"),
        (false, false) => ("True", "PartlyInForce"),
        (false, true) => ("False", "Invalid"),
    };
    let message = message(findings);
    let known = object
        .get(&["status", "conditions"])
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let before = known
        .iter()
        .find(|condition| condition["type"] == CONDITION);
    let said = before.is_some_and(|before| {
        before["status"] == status
            && before["reason"] == reason
            && before["message"] == message.as_str()
    });
    if said
        && object
            .get(&["status", "observedGeneration"])
            .and_then(Value::as_i64)
            == Some(object.generation())
    {
        return None;
    }
    let since = before
        .filter(|before| before["status"] == status)
        .and_then(|before| before["lastTransitionTime"].as_str());
    let since = since.map_or_else(|| clock::seconds(clock::now()), ToOwned::to_owned);
    let mut conditions: Vec<Value> = known
        .iter()
        .filter(|condition| condition["type"] != CONDITION)
        .cloned()
        .collect();
    conditions.push(
        json!({"type": CONDITION, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": since, "observedGeneration": object.generation()}),
    );
    Some(conditions)
}

fn message(findings: &[Finding]) -> String {
    let mut parts: Vec<String> = findings
        .iter()
        .take(NAMED)
        .map(|finding| format!("{}: {}", finding.field, finding.detail))
        .collect();
    if findings.len() > NAMED {
        parts.push(format!("and {} more", findings.len() - NAMED));
    }
    parts.join("; ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn finding(kind: FindingKind) -> Finding {
        Finding {
            resource: Kind::of(&osier_api::resources::VIRTUAL_SERVICES),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            field: "spec.http[0].mirror".to_owned(),
            kind,
            detail: "is not done".to_owned(),
        }
    }

    #[test]
    fn a_condition_is_written_once() {
        let mut object = Object::from_value(json!({"metadata": {"name": "web", "generation": 1},
            "status": {"conditions": [{"type": "Other"}]}}))
        .unwrap();
        let written = conditions(&object, &[finding(FindingKind::Invalid)]).unwrap();
        assert_eq!(
            (&written[0]["type"], &written[1]["status"]),
            (&json!("Other"), &json!("False"))
        );
        assert_eq!(written[1]["message"], "spec.http[0].mirror: is not done");
        object.set(
            &["status"],
            json!({"observedGeneration": 1, "conditions": written}),
        );
        assert_eq!(conditions(&object, &[finding(FindingKind::Invalid)]), None);
        let better = conditions(&object, &[finding(FindingKind::NotApplied)]).unwrap();
        assert_eq!(
            (&better[1]["status"], &better[1]["reason"]),
            (&json!("True"), &json!("PartlyInForce"))
        );
        assert_eq!(conditions(&object, &[]).unwrap()[1]["message"], "");
    }
}
