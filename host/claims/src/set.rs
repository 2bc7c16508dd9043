//! The claims of a StatefulSet: each pod has its own, by its number, and whether they outlive it is the set's to say.

use osier_api::{Object, OwnerReference, resources};
use serde_json::{Value, json};

use crate::step::{Change, Write};
use crate::view::View;

fn templates(set: &Object) -> impl Iterator<Item = &Value> {
    let templates = set
        .get(&["spec", "volumeClaimTemplates"])
        .and_then(Value::as_array);
    templates.into_iter().flatten()
}

fn template_name(template: &Value) -> &str {
    template["metadata"]["name"].as_str().unwrap_or_default()
}

/// `data-web-0`.
fn name(template: &Value, set: &Object, ordinal: usize) -> String {
    format!("{}-{}-{ordinal}", template_name(template), set.name())
}

/// Lets the pod of a number mount its claims, in place of volumes of the same names.
pub fn mount(pod: &mut Object, set: &Object, ordinal: usize) {
    let volumes = pod.get(&["spec", "volumes"]).and_then(Value::as_array);
    let mut volumes = volumes.cloned().unwrap_or_default();
    for template in templates(set) {
        volumes.retain(|volume| volume["name"] != template["metadata"]["name"]);
        let claim = name(template, set, ordinal);
        volumes.push(
            json!({"name": template_name(template), "persistentVolumeClaim": {"claimName": claim}}),
        );
    }
    if !volumes.is_empty() {
        pod.set(&["spec", "volumes"], volumes.into());
    }
}

/// The claims that the pod of a number lacks.
pub fn wanted(set: &Object, ordinal: usize, view: &dyn View) -> Vec<Write> {
    let lacks = |template: &&Value| {
        view.claim(set.namespace(), &name(template, set, ordinal))
            .is_none()
    };
    let make = |template: &Value| {
        let claim = claim(template, set, ordinal);
        Write::of(&claim.clone(), Change::Create(Box::new(claim)))
    };
    templates(set).filter(lacks).map(make).collect()
}

fn claim(template: &Value, set: &Object, ordinal: usize) -> Object {
    let name = name(template, set, ordinal);
    let mut claim = Object::new(&resources::PERSISTENT_VOLUME_CLAIMS, set.namespace(), &name);
    for field in ["annotations", "labels"] {
        if let Some(value) = template["metadata"].get(field) {
            claim.set(&["metadata", field], value.clone());
        }
    }
    let selected = set
        .get(&["spec", "selector", "matchLabels"])
        .and_then(Value::as_object);
    for (label, value) in selected.into_iter().flatten() {
        claim.set(&["metadata", "labels", label], value.clone());
    }
    claim.set(&["spec"], template["spec"].clone());
    claim
}

/// Makes the set, or the pod of a number, the owner of that pod's claims where these are to go with it; `condemned` is a pod that is
/// one too many.
pub fn owners(
    set: &Object,
    (ordinal, pod): (usize, &Object),
    condemned: bool,
    view: &dyn View,
) -> Vec<Write> {
    let goes =
        |when: &str| set.text(&["spec", "persistentVolumeClaimRetentionPolicy", when]) == "Delete";
    let with_pod = condemned && goes("whenScaled");
    let with_set = goes("whenDeleted") && !with_pod;
    let change = |template: &Value| {
        let claim = view.claim(set.namespace(), &name(template, set, ordinal))?;
        let before = claim.owner_references();
        let mut owners = before.clone();
        owners.retain(|owner| owner.uid != set.uid() && !is_pod_of(owner, pod));
        owners.extend(with_set.then(|| plain(set)));
        owners.extend(with_pod.then(|| plain(pod)));
        let patch = json!({"metadata": {"ownerReferences": owners}});
        (before != owners).then(|| Write::exactly(&claim, patch))
    };
    templates(set).filter_map(change).collect()
}

/// The pod, or one before it of the same name.
fn is_pod_of(owner: &OwnerReference, pod: &Object) -> bool {
    owner.kind == "Pod" && owner.name == pod.name()
}

/// An owner that does not control.
fn plain(object: &Object) -> OwnerReference {
    OwnerReference {
        controller: false,
        block_owner_deletion: false,
        ..object.as_controller()
    }
}
