//! What gives pods a place of their own: StatefulSets by number, DaemonSets by node; and the revisions of both.

use serde_json::Value;

use super::at::At;
use super::{names, share, storage, workload};
use osier_api::{Fault, FaultKind, Object};

const STRATEGIES: [&str; 2] = ["OnDelete", "RollingUpdate"];
const MANAGEMENT: [&str; 2] = ["OrderedReady", "Parallel"];
/// What may change of a StatefulSet's spec.
const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];
const UPDATE_WORDS: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

/// The spec of a StatefulSet.
pub(super) fn check_stateful_set(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = workload::check_set("statefulset", spec);
    faults.extend(spec.at("podManagementPolicy").one_of(&MANAGEMENT));
    faults.extend(spec.at("revisionHistoryLimit").at_least(0));
    faults.extend(spec.at("ordinals").at("start").at_least(0));
    let rolling = rolling(spec, &mut faults);
    faults.extend(rolling.at("partition").at_least(0));
    let unavailable = rolling.at("maxUnavailable");
    faults.extend(share::check(&unavailable));
    faults.extend(share::at_most_all(&unavailable));
    if share::is_zero(&unavailable) {
        faults.push(unavailable.invalid("cannot be 0"));
    }
    claims(spec, &mut faults);
    let retention = spec.at("persistentVolumeClaimRetentionPolicy");
    for when in ["whenDeleted", "whenScaled"] {
        faults.extend(retention.at(when).one_of(&["Delete", "Retain"]));
    }
    faults
}

/// Each pod gets a volume for each template of a claim, which its containers may mount.
fn claims(spec: &At<'_>, faults: &mut Vec<Fault>) {
    for claim in spec.at("volumeClaimTemplates").items() {
        let name = claim.at("metadata").at("name");
        faults.extend(name.name(names::subdomain));
        faults.extend(storage::check_claim(&claim.at("spec")));
        let missed = |fault: &Fault| {
            let mount = fault.field.contains(".volumeMounts[");
            mount && fault.kind == FaultKind::NotFound && fault.value.as_ref() == Some(name.value)
        };
        faults.retain(|fault| !missed(fault));
    }
}

/// The spec of a DaemonSet.
pub(super) fn check_daemon_set(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = workload::check_set("daemonset", spec);
    faults.extend(spec.at("revisionHistoryLimit").at_least(0));
    let rolling = rolling(spec, &mut faults);
    let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
    faults.extend(share::check(&unavailable));
    for share in [&unavailable, &surge] {
        faults.extend(share::at_most_all(share));
    }
    faults.extend(share::check(&surge));
    match (
        share::is_zero(&unavailable),
        surge.is_present() && !share::is_zero(&surge),
    ) {
        (true, false) => faults.push(unavailable.invalid("cannot be 0 when maxSurge is 0")),
        (false, true) => {
            faults.push(surge.invalid("may not be set when maxUnavailable is non-zero"))
        }
        _ => {}
    }
    faults
}

/// The parameters of the update strategy, which only a rolling one has.
fn rolling<'a>(spec: &At<'a>, faults: &mut Vec<Fault>) -> At<'a> {
    let strategy = spec.at("updateStrategy");
    let rolling = strategy.at("rollingUpdate");
    faults.extend(strategy.at("type").one_of(&STRATEGIES));
    if strategy.at("type").text() == "OnDelete" && rolling.is_present() {
        faults.push(rolling.forbidden("only allowed for updateStrategy 'RollingUpdate'"));
    }
    rolling
}

/// A ControllerRevision.
pub(super) fn check_revision(object: &Object) -> Vec<Fault> {
    let (data, number) = (At::of(object, "data"), At::of(object, "revision"));
    let mut faults: Vec<Fault> = number.at_least(0).into_iter().collect();
    if !data.is_present() {
        faults.push(data.required("data is mandatory"));
    }
    faults
}

/// What a revision was stays.
pub(super) fn check_revision_update(old: &Object, new: &Object) -> Vec<Fault> {
    let (before, after) = (At::of(old, "data"), At::of(new, "data"));
    let changed = before.value != after.value;
    changed
        .then(|| Fault::immutable(&after.path, after.value.clone()))
        .into_iter()
        .collect()
}

/// What a StatefulSet's pods are known by stays.
pub(super) fn check_update(old: &Object, new: &Object) -> Vec<Fault> {
    let fixed = |object: &Object| {
        let mut spec = object.get(&["spec"]).cloned().unwrap_or_default();
        if let Some(spec) = spec.as_object_mut() {
            spec.retain(|field, _| !MUTABLE.contains(&field.as_str()));
        }
        spec
    };
    let (before, after): (Value, Value) = (fixed(old), fixed(new));
    let changed = (before != after).then(|| Fault::forbidden("spec", UPDATE_WORDS));
    changed.into_iter().collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use osier_api::resources::{CONTROLLER_REVISIONS, DAEMON_SETS, STATEFUL_SETS};
    use osier_api::{Object, Resource, defaults};

    fn set(resource: &'static Resource, change: impl FnOnce(&mut Value)) -> Object {
        let mut value = json!({"apiVersion": "apps/v1", "kind": resource.kind,
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "web:1"}]}}}});
        change(&mut value["spec"]);
        let mut object = Object::from_value(value).unwrap();
        defaults::apply(resource, &mut object);
        object
    }

    fn faults(resource: &'static Resource, change: impl FnOnce(&mut Value)) -> Vec<String> {
        let faults = crate::validate_create(resource, &set(resource, change));
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn containers_mount_the_claims_of_templates() {
        let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        let mounts = |name: &str| {
            let mount = json!({"name": name, "mountPath": "/x"});
            faults(&STATEFUL_SETS, |spec| {
                spec["volumeClaimTemplates"] = json!([claim]);
                spec["template"]["spec"]["containers"][0]["volumeMounts"] = json!([mount]);
            })
        };
        assert_eq!(mounts("data"), Vec::<String>::new());
        assert!(mounts("other")[0].contains("volumeMounts[0].name: Not found"));
    }

    #[test]
    fn defaults_are_those_of_kubernetes() {
        let stateful = set(&STATEFUL_SETS, |_| {});
        let spec = stateful.get(&["spec"]).unwrap();
        assert_eq!(spec["podManagementPolicy"], "OrderedReady");
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
        assert_eq!(spec["updateStrategy"], strategy);
        assert_eq!(
            (&spec["replicas"], &spec["revisionHistoryLimit"]),
            (&json!(1), &json!(10))
        );
        let daemon = set(&DAEMON_SETS, |_| {});
        let strategy =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}});
        assert_eq!(daemon.get(&["spec", "updateStrategy"]), Some(&strategy));
        let waiting = set(&DAEMON_SETS, |spec| {
            spec["updateStrategy"] = json!({"type": "OnDelete"})
        });
        assert_eq!(
            waiting.get(&["spec", "updateStrategy"]),
            Some(&json!({"type": "OnDelete"}))
        );
    }

    #[test]
    fn every_fault_is_named() {
        assert!(
            faults(&STATEFUL_SETS, |_| {}).is_empty() && faults(&DAEMON_SETS, |_| {}).is_empty()
        );
        let found = faults(&STATEFUL_SETS, |spec| {
            spec["podManagementPolicy"] = json!("Random");
            spec["ordinals"] = json!({"start": -1});
            spec["updateStrategy"] =
                json!({"rollingUpdate": {"partition": -1, "maxUnavailable": 0}});
            spec["volumeClaimTemplates"] =
                json!([{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]);
        });
        let starts = [
            "spec.podManagementPolicy: Unsupported value: \"Random\"",
            "spec.ordinals.start: Invalid value: -1",
            "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1",
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0",
            "spec.volumeClaimTemplates[0].spec.resources.requests.storage: Required value",
        ];
        for start in starts {
            assert!(
                found.iter().any(|fault| fault.starts_with(start)),
                "no {start} in {found:#?}"
            );
        }
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        let found = faults(&DAEMON_SETS, |spec| {
            spec["updateStrategy"] = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}});
        });
        assert!(
            found[0].contains("may not be set when maxUnavailable is non-zero"),
            "{found:?}"
        );
        let found = faults(&DAEMON_SETS, |spec| {
            spec["updateStrategy"] =
                json!({"type": "OnDelete", "rollingUpdate": {"maxUnavailable": 1}});
        });
        assert!(
            found[0].contains("only allowed for updateStrategy"),
            "{found:?}"
        );
    }

    #[test]
    fn what_pods_are_known_by_stays() {
        let old = set(&STATEFUL_SETS, |_| {});
        let scaled = set(&STATEFUL_SETS, |spec| spec["replicas"] = json!(5));
        assert!(crate::validate_update(&STATEFUL_SETS, &old, &scaled).is_empty());
        let renamed = set(&STATEFUL_SETS, |spec| spec["serviceName"] = json!("other"));
        let found = crate::validate_update(&STATEFUL_SETS, &old, &renamed);
        assert!(
            found[0].to_string().contains("updates to statefulset spec"),
            "{found:?}"
        );
        let revision = |data: Value| {
            Object::from_value(
                json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1,
                "metadata": {"name": "web-1", "namespace": "shop"}, "data": data}),
            )
            .unwrap()
        };
        let found = crate::validate_update(
            &CONTROLLER_REVISIONS,
            &revision(json!({"a": 1})),
            &revision(json!({"a": 2})),
        );
        assert!(
            found[0].to_string().ends_with("field is immutable"),
            "{found:?}"
        );
    }
}
