//! Pods and the templates of replication controllers.

use serde_json::Value;

use super::at::{At, unique};
use super::{container, metadata, names, placing};
use osier_api::Fault;

pub(super) const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const OPERATORS: [&str; 2] = ["Equal", "Exists"];
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The spec of a pod, or of a template.
pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = volumes(&spec.at("volumes"));
    faults.extend(container::check_all(spec));
    let restart = spec.at("restartPolicy");
    if !restart.is_set() {
        faults.push(restart.required(""));
    }
    faults.extend(restart.one_of(&RESTART_POLICIES));
    faults.extend(spec.at("dnsPolicy").one_of(&DNS_POLICIES));
    faults.extend(metadata::labels(&spec.at("nodeSelector")));
    faults.extend(
        spec.at("serviceAccountName")
            .optional_name(names::subdomain),
    );
    faults.extend(spec.at("nodeName").optional_name(names::subdomain));
    faults.extend(spec.at("hostname").optional_name(names::label));
    faults.extend(spec.at("subdomain").optional_name(names::label));
    faults.extend(spec.at("terminationGracePeriodSeconds").at_least(0));
    let deadline = spec.at("activeDeadlineSeconds");
    if deadline
        .int()
        .is_some_and(|seconds| !(1..=i64::from(i32::MAX)).contains(&seconds))
    {
        faults.push(deadline.invalid("must be between 1 and 2147483647, inclusive"));
    }
    faults.extend(spec.at("tolerations").items().iter().flat_map(toleration));
    faults.extend(placing::check(spec));
    faults
}

/// The spec of a replication controller.
pub(super) fn check_controller(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in ["replicas", "minReadySeconds"] {
        faults.extend(spec.at(field).at_least(0));
    }
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    if !selector.is_set() {
        faults.push(selector.required(""));
    }
    faults.extend(metadata::labels(&selector));
    if !template.is_present() {
        faults.push(template.required(""));
        return faults;
    }
    let labels = template.at("metadata").at("labels");
    let carries = |(key, value): (&str, At<'_>)| labels.value.get(key) == Some(value.value);
    if selector.is_set() && !selector.entries().into_iter().all(carries) {
        faults.push(labels.invalid("`selector` does not match template `labels`"));
    }
    faults.extend(metadata::labels(&labels));
    let pod = template.at("spec");
    faults.extend(check(&pod));
    let restart = pod.at("restartPolicy");
    faults.extend(
        restart
            .one_of(&["Always"])
            .filter(|_| RESTART_POLICIES.contains(&restart.text())),
    );
    if pod.at("activeDeadlineSeconds").is_present() {
        faults.push(
            pod.at("activeDeadlineSeconds")
                .forbidden("activeDeadlineSeconds in ReplicationController is not Supported"),
        );
    }
    faults
}

fn volumes(list: &At<'_>) -> Vec<Fault> {
    let mut faults = unique(list.items().iter().map(|volume| volume.at("name")));
    for volume in list.items() {
        faults.extend(volume.at("name").name(names::label));
        let sources = volume
            .map()
            .map_or(0, |map| map.keys().filter(|key| *key != "name").count());
        match sources {
            0 => faults.push(volume.required("must specify a volume type")),
            1 => {}
            _ => faults.push(volume.forbidden("may not specify more than 1 volume type")),
        }
        let secret = volume.at("secret");
        if secret.is_present() && !secret.at("secretName").is_set() {
            faults.push(secret.at("secretName").required(""));
        }
        let map = volume.at("configMap");
        if map.is_present() && !map.at("name").is_set() {
            faults.push(map.at("name").required(""));
        }
    }
    faults
}

fn toleration(toleration: &At<'_>) -> Vec<Fault> {
    let (key, operator, value) = (
        toleration.at("key"),
        toleration.at("operator"),
        toleration.at("value"),
    );
    let mut faults = key.optional_name(names::qualified);
    faults.extend(operator.one_of(&OPERATORS));
    faults.extend(toleration.at("effect").one_of(&EFFECTS));
    let exists = operator.text() == "Exists";
    if !key.is_set() && !exists {
        faults.push(operator.invalid("operator must be Exists when `key` is empty, which means \"match all values and all keys\""));
    }
    if exists && value.is_set() {
        faults.push(value.invalid("value must be empty when `operator` is 'Exists'"));
    }
    let seconds = toleration.at("tolerationSeconds");
    if seconds.is_present() && toleration.at("effect").value != &Value::from("NoExecute") {
        faults.push(
            toleration
                .at("effect")
                .invalid("effect must be 'NoExecute' when `tolerationSeconds` is set"),
        );
    }
    faults
}
