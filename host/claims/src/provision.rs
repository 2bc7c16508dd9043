//! Volumes that are made for claims: directories on one node's disk.

use osier_api::{Object, local_volume, resources};
use serde_json::{Value, json};

use crate::known::{PROVISIONED_BY, asked, class as class_of, modes, waits_for_pod};

const SHARED: &str = "does not serve ReadWriteMany: a volume is a directory on one node's disk. Ask for ReadWriteOnce, with which all pods of that node write";
const DEVICE: &str =
    "makes no block devices: a component is given directories. Leave volumeMode out";
const AT_ONCE: &str = "makes a volume where its first pod runs: the StorageClass needs volumeBindingMode WaitForFirstConsumer";

/// Why no volume of the class can be made for the claim, if none can.
pub(crate) fn refusal(claim: &Object, class: &Object) -> Option<String> {
    let why = unserved(claim).or_else(|| untrue(class))?;
    Some(format!("{} {why}", local_volume::DRIVER))
}

/// What the claim asks for and no directory is.
fn unserved(claim: &Object) -> Option<&'static str> {
    let says = |field: &str| is_said(claim, &["spec", field]);
    if modes(claim).any(|mode| mode == "ReadWriteMany") {
        return Some(SHARED);
    }
    if claim.text(&["spec", "volumeMode"]) == "Block" {
        return Some(DEVICE);
    }
    if says("selector") {
        return Some("makes new volumes and chooses none: claim.Spec.Selector is not supported");
    }
    let filled = says("dataSource") || says("dataSourceRef");
    filled.then_some("makes empty volumes: leave dataSource and dataSourceRef out")
}

/// What the class says and is not so here.
fn untrue(class: &Object) -> Option<&'static str> {
    if !waits_for_pod(class) {
        return Some(AT_ONCE);
    }
    let tuned = is_said(class, &["parameters"]) || is_said(class, &["mountOptions"]);
    tuned.then_some("knows no parameters and no mountOptions: the StorageClass must have none")
}

fn is_said(object: &Object, path: &[&str]) -> bool {
    let value = object.get(path);
    value.is_some_and(|value| !value.is_null() && *value != json!({}) && *value != json!([]))
}

/// Where volumes of the class may be made: required node selectors of which one must hold.
pub(crate) fn places(class: &Object) -> Vec<Value> {
    let allowed = class.get(&["allowedTopologies"]).and_then(Value::as_array);
    let allowed = allowed.map_or(&[][..], Vec::as_slice);
    if allowed.is_empty() {
        return vec![Value::Null];
    }
    let one = |term: &Value| {
        let labels = term["matchLabelExpressions"]
            .as_array()
            .into_iter()
            .flatten();
        let asked =
            labels.map(|ask| json!({"key": ask["key"], "operator": "In", "values": ask["values"]}));
        let asked: Vec<Value> = asked.collect();
        json!({"nodeSelectorTerms": [{"matchExpressions": asked}]})
    };
    allowed.iter().map(one).collect()
}

/// What is written into a volume that a claim gets.
pub(crate) fn reference(claim: &Object) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace(),
        "name": claim.name(), "uid": claim.uid(), "resourceVersion": claim.resource_version().to_string(),
    })
}

/// The volume that is made for a claim on a node.
pub(crate) fn volume(claim: &Object, class: &Object, node: &str) -> Object {
    let name = format!("pvc-{}", claim.uid());
    let mut volume = Object::new(&resources::PERSISTENT_VOLUMES, "", &name);
    volume.set(
        &["metadata", "annotations", PROVISIONED_BY],
        local_volume::DRIVER.into(),
    );
    volume.set(
        &["metadata", "finalizers"],
        json!([local_volume::FINALIZER]),
    );
    let modes: Vec<&str> = modes(claim).collect();
    let spec = json!({
        "capacity": {"storage": asked(claim)}, "accessModes": modes, "volumeMode": "Filesystem",
        "storageClassName": class_of(claim), "persistentVolumeReclaimPolicy": class.text(&["reclaimPolicy"]),
        "claimRef": reference(claim), "csi": local_volume::source(&name), "nodeAffinity": local_volume::affinity(node),
    });
    volume.set(&["spec"], spec);
    volume
}
