//! What keeps pods running: Deployments and ReplicaSets.

use super::at::At;
use super::{metadata, pod, share};
use osier_api::selector::LabelSelector;
use osier_api::{Fault, Object};

const STRATEGIES: [&str; 2] = ["Recreate", "RollingUpdate"];

/// The spec of a Deployment.
pub(super) fn check_deployment(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = check_set("deployment", spec);
    faults.extend(strategy(&spec.at("strategy")));
    faults.extend(spec.at("revisionHistoryLimit").at_least(0));
    let deadline = spec.at("progressDeadlineSeconds");
    faults.extend(deadline.at_least(0));
    let ready = spec.at("minReadySeconds").int().unwrap_or(0);
    if deadline.int().is_some_and(|seconds| seconds <= ready) {
        faults.push(deadline.invalid("must be greater than minReadySeconds"));
    }
    faults
}

/// The spec of a ReplicaSet.
pub(super) fn check_replica_set(spec: &At<'_>) -> Vec<Fault> {
    check_set("replicaset", spec)
}

/// What every kind asks that keeps a number of like pods.
pub(super) fn check_set(kind: &str, spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in ["replicas", "minReadySeconds"] {
        faults.extend(spec.at(field).at_least(0));
    }
    faults.extend(selector(kind, spec));
    faults.extend(template(&spec.at("template")));
    let restart = spec.at("template").at("spec").at("restartPolicy");
    let known = pod::RESTART_POLICIES.contains(&restart.text());
    faults.extend(restart.one_of(&["Always"]).filter(|_| known));
    faults
}

/// The selector is there, can be read, and selects what the template makes.
pub(super) fn selector(kind: &str, spec: &At<'_>) -> Vec<Fault> {
    let selector = spec.at("selector");
    if !selector.is_present() {
        return vec![selector.required("")];
    }
    let mut faults = metadata::selector(&selector);
    let Ok(parsed) = LabelSelector::from_object(selector.value) else {
        return faults;
    };
    if parsed.is_empty() {
        faults.push(selector.invalid(format!("empty selector is invalid for {kind}")));
        return faults;
    }
    let labels = spec.at("template").at("metadata").at("labels");
    let carried = labels.entries();
    let carried = carried.iter().map(|(key, value)| (*key, value.text()));
    if !parsed.matches(&carried.collect()) {
        faults.push(labels.invalid("`selector` does not match template `labels`"));
    }
    faults
}

/// The pod that is made.
pub(super) fn template(template: &At<'_>) -> Vec<Fault> {
    if !template.is_present() {
        return vec![template.required("")];
    }
    let mut faults = metadata::labels(&template.at("metadata").at("labels"));
    let spec = template.at("spec");
    faults.extend(pod::check(&spec));
    let deadline = spec.at("activeDeadlineSeconds");
    if deadline.is_present() {
        faults.push(deadline.forbidden("not supported in the template of a workload"));
    }
    faults
}

fn strategy(strategy: &At<'_>) -> Vec<Fault> {
    let (kind, rolling) = (strategy.at("type"), strategy.at("rollingUpdate"));
    let mut faults: Vec<Fault> = kind.one_of(&STRATEGIES).into_iter().collect();
    if kind.text() == "Recreate" {
        if rolling.is_present() {
            faults
                .push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'"));
        }
        return faults;
    }
    let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
    faults.extend(share::check(&unavailable));
    faults.extend(share::at_most_all(&unavailable));
    faults.extend(share::check(&surge));
    if share::is_zero(&unavailable) && share::is_zero(&surge) {
        faults.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
    }
    faults
}

/// The spec of a PodDisruptionBudget.
pub(super) fn check_budget(spec: &At<'_>) -> Vec<Fault> {
    let (least, away) = (spec.at("minAvailable"), spec.at("maxUnavailable"));
    let mut faults = Vec::new();
    if least.is_present() && away.is_present() {
        faults.push(spec.invalid("minAvailable and maxUnavailable cannot be both set"));
    }
    for share in [&least, &away] {
        faults.extend(share::check(share));
        faults.extend(share::at_most_all(share));
    }
    faults.extend(metadata::selector(&spec.at("selector")));
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    faults.extend(spec.at("unhealthyPodEvictionPolicy").one_of(&policies));
    faults
}

/// What a workload's pods are known by stays.
pub(super) fn check_update(old: &Object, new: &Object) -> Vec<Fault> {
    let (before, after) = (
        At::of(old, "spec").at("selector"),
        At::of(new, "spec").at("selector"),
    );
    let moved = before.is_present() && before.value != after.value;
    moved
        .then(|| Fault::immutable(&after.path, after.value.clone()))
        .into_iter()
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use osier_api::resources::DEPLOYMENTS;
    use osier_api::{Object, defaults};

    /// A good Deployment, `change`d and defaulted.
    fn deployment(change: impl FnOnce(&mut Value)) -> Object {
        let mut value = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "web:1"}]}}}});
        change(&mut value);
        let mut object = Object::from_value(value).unwrap();
        defaults::apply(&DEPLOYMENTS, &mut object);
        object
    }

    fn faults(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let faults = crate::validate_create(&DEPLOYMENTS, &deployment(change));
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_are_those_of_kubernetes() {
        let deployment = deployment(|_| {});
        let spec = deployment.get(&["spec"]).unwrap();
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}});
        assert_eq!(spec["strategy"], strategy);
        let numbers = [
            "replicas",
            "revisionHistoryLimit",
            "progressDeadlineSeconds",
        ];
        assert_eq!(
            numbers.map(|field| spec[field].as_i64().unwrap()),
            [1, 10, 600]
        );
        assert_eq!(spec["template"]["spec"]["restartPolicy"], "Always");
        assert!(spec["template"]["spec"].get("enableServiceLinks").is_none());
    }

    #[test]
    fn every_fault_is_named() {
        assert!(faults(|_| {}).is_empty());
        let found = faults(|object| {
            let spec = &mut object["spec"];
            spec["replicas"] = json!(-1);
            spec["selector"]["matchLabels"]["app"] = json!("other");
            spec["template"]["spec"]["restartPolicy"] = json!("Never");
            spec["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "half", "maxUnavailable": "120%"}});
            spec["minReadySeconds"] = json!(700);
        });
        let starts = [
            "spec.replicas: Invalid value: -1",
            "spec.template.metadata.labels: Invalid value",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\"",
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"120%\": must not be greater than 100%",
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"half\": a valid percent string",
            "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
        ];
        for start in starts {
            assert!(
                found.iter().any(|fault| fault.starts_with(start)),
                "no {start} in {found:#?}"
            );
        }
        assert_eq!(found.len(), starts.len(), "{found:#?}");
    }

    #[test]
    fn some_pods_must_be_replaceable_at_any_time() {
        let found = faults(|object| {
            object["spec"]["strategy"] =
                json!({"rollingUpdate": {"maxSurge": "0%", "maxUnavailable": 0}});
        });
        assert!(
            found[0].contains("may not be 0 when `maxSurge` is 0"),
            "{found:?}"
        );
        let found = faults(|object| {
            object["spec"]["strategy"] = json!({"type": "Recreate", "rollingUpdate": {}});
        });
        assert!(
            found[0].contains("strategy `type` is 'Recreate'"),
            "{found:?}"
        );
    }

    #[test]
    fn the_selector_stays() {
        let (old, new) = (
            deployment(|_| {}),
            deployment(|object| {
                object["spec"]["selector"]["matchLabels"]["tier"] = json!("a");
                object["spec"]["template"]["metadata"]["labels"]["tier"] = json!("a");
            }),
        );
        let found = crate::validate_update(&DEPLOYMENTS, &old, &new);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].to_string().ends_with("field is immutable"),
            "{}",
            found[0]
        );
    }
}
