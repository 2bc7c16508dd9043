//! Statuses as the API writes them. What is there already keeps its times; what others wrote stays. Pure but for the time of a
//! change.

use osier_api::Object;
use osier_process::clock;
use osier_snapshot::{
    CONTROLLER, Condition, Finding, GatewayConditions, GatewayStanding, Kind, ListenerStanding,
    ParentStanding, PolicyStanding,
};
use serde_json::{Value, json};

/// The types of conditions that are written here; others are somebody else's.
const OURS: [&str; 7] = [
    "Accepted",
    "Programmed",
    "ResolvedRefs",
    "Conflicted",
    "PartiallyInvalid",
    "OverlappingTLSConfig",
    "InsecureFrontendValidationMode",
];

/// Conditions with their times, after those that somebody else wrote.
pub(super) fn conditions(known: Option<&Value>, new: &[Condition], generation: i64) -> Vec<Value> {
    let known = known
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let others = known.iter().filter(|one| {
        !one["type"]
            .as_str()
            .is_some_and(|kind| OURS.contains(&kind))
    });
    let ours = new.iter().map(|condition| {
        let status = if condition.holds { "True" } else { "False" };
        let same = |one: &&Value| one["type"] == condition.kind && one["status"] == status;
        let since = known.iter().find(same);
        let since = since.and_then(|one| one["lastTransitionTime"].as_str());
        let since = since.map_or_else(|| clock::seconds(clock::now()), ToOwned::to_owned);
        json!({"type": condition.kind, "status": status, "reason": condition.reason,
            "message": condition.message, "lastTransitionTime": since, "observedGeneration": generation})
    });
    others.cloned().chain(ours).collect()
}

/// The status of a Gateway.
pub(super) fn gateway(
    object: &Object,
    standing: &GatewayStanding,
    (said, address): (&GatewayConditions, &str),
) -> Value {
    let generation = object.generation();
    let addresses = match said.programmed() {
        true => json!([{"type": "IPAddress", "value": address}]),
        false => json!([]),
    };
    let known = object
        .get(&["status", "listeners"])
        .and_then(Value::as_array);
    let listeners = standing.listeners.iter().zip(&said.listeners);
    let listeners = listeners.map(|(one, said)| listener(known, (one, said), generation));
    let listeners: Vec<Value> = listeners.collect();
    let before = object.get(&["status", "conditions"]);
    json!({"addresses": addresses, "listeners": listeners,
        "conditions": conditions(before, &said.gateway, generation)})
}

fn listener(
    known: Option<&Vec<Value>>,
    (listener, said): (&ListenerStanding, &[Condition]),
    generation: i64,
) -> Value {
    let before = known.and_then(|all| all.iter().find(|one| one["name"] == listener.name));
    let before = before.map(|listener| &listener["conditions"]);
    let kinds: Vec<Value> = listener.kinds.iter().map(kind).collect();
    json!({"name": listener.name, "supportedKinds": kinds, "attachedRoutes": listener.attached,
        "conditions": conditions(before, said, generation)})
}

fn kind(kind: &Kind) -> Value {
    json!({"group": kind.group, "kind": kind.name})
}

/// The status of a policy: what is said at each of its ancestors.
pub(super) fn policy(object: &Object, policy: &PolicyStanding, findings: &[&Finding]) -> Value {
    let known = object.get(&["status", "ancestors"]);
    let known = known
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let others = known
        .iter()
        .filter(|one| one["controllerName"] != CONTROLLER);
    let ours = policy.ancestors.iter().map(|ancestor| {
        let same =
            |one: &&Value| one["controllerName"] == CONTROLLER && one["ancestorRef"] == *ancestor;
        let before = known.iter().find(same).map(|one| &one["conditions"]);
        let said = conditions(before, &policy.conditions(findings), object.generation());
        json!({"ancestorRef": ancestor, "controllerName": CONTROLLER, "conditions": said})
    });
    let ancestors: Vec<Value> = others.cloned().chain(ours).collect();
    json!({"ancestors": ancestors})
}

/// The status of a route: what is said at each of its parents.
pub(super) fn route(object: &Object, parents: &[ParentStanding], findings: &[&Finding]) -> Value {
    let known = object.get(&["status", "parents"]).and_then(Value::as_array);
    let known = known.map_or(&[][..], Vec::as_slice);
    let others = known
        .iter()
        .filter(|one| one["controllerName"] != CONTROLLER);
    let ours = parents.iter().map(|parent| {
        let same = |one: &&Value| {
            one["controllerName"] == CONTROLLER && one["parentRef"] == *parent.reference
        };
        let before = known.iter().find(same).map(|one| &one["conditions"]);
        let said = conditions(before, &parent.conditions(findings), object.generation());
        json!({"parentRef": *parent.reference, "controllerName": CONTROLLER, "conditions": said})
    });
    let parents: Vec<Value> = others.cloned().chain(ours).collect();
    json!({"parents": parents})
}
