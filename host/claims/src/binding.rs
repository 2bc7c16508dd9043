//! The next step of a claim: the way to its volume.

use std::cmp::Ordering;
use std::sync::Arc;

use osier_api::{Object, local_volume, quantity};
use serde_json::{Value, json};

use crate::fit;
use crate::known::{
    self, BIND_COMPLETED, BOUND_BY_CONTROLLER, CLAIM_PROTECTION, PROVISIONER, SELECTED_NODE, asked,
    capacity, is_for, waits_for_pod,
};
use crate::provision;
use crate::step::{Change, Plan, Write};
use crate::used;
use crate::view::View;

const LOST: &str = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
const NO_CLASS: &str = "no persistent volumes available for this claim and no storage class is set";
const WAITS: &str = "waiting for first consumer to be created before binding";
const MISBOUND: &str = "Two claims are bound to the same volume, this one is bound incorrectly";

/// What is to be done for a claim.
pub fn claim(claim: &Object, view: &dyn View) -> Plan {
    if claim.deletion_timestamp().is_some() {
        return release(claim, view);
    }
    match claim.text(&["spec", "volumeName"]) {
        "" => unbound(claim, view),
        name => named(claim, name, view),
    }
}

/// A claim that is going stays as long as a pod uses it.
fn release(claim: &Object, view: &dyn View) -> Plan {
    let held = claim.finalizers().contains(&CLAIM_PROTECTION);
    if !held || used::is_used(claim, view) {
        return Plan::default();
    }
    Plan::write(vec![without_finalizer(claim, CLAIM_PROTECTION)])
}

/// Takes one of its finalizers off an object.
pub(crate) fn without_finalizer(object: &Object, finalizer: &str) -> Write {
    let mut kept = object.finalizers();
    kept.retain(|one| *one != finalizer);
    Write::exactly(object, json!({"metadata": {"finalizers": kept}}))
}

/// A claim that nobody gave a volume.
fn unbound(claim: &Object, view: &dyn View) -> Plan {
    let volumes = view.volumes();
    let meant = volumes.iter().find(|volume| is_for(volume, claim));
    if let Some(volume) = meant {
        return checked(claim, volume);
    }
    let class = view.class(known::class(claim));
    let waits = class.as_ref().is_some_and(|class| waits_for_pod(class));
    let free = fit::best(claim, &volumes, |_| !waits);
    match (free, class) {
        (Some(volume), _) => bind(claim, volume),
        (None, Some(class)) => provisioned(claim, &class, &volumes),
        (None, None) => classless(known::class(claim)),
    }
}

fn classless(name: &str) -> Plan {
    if name.is_empty() {
        return Plan::say("FailedBinding", NO_CLASS);
    }
    let words = format!("storageclass.storage.k8s.io \"{name}\" not found");
    Plan::warn("ProvisioningFailed", words)
}

/// A claim whose volume is to be made, now or when a pod comes.
fn provisioned(claim: &Object, class: &Object, volumes: &[Arc<Object>]) -> Plan {
    let (ours, node) = (known::is_ours(class), claim.annotation(SELECTED_NODE));
    let refused = ours.then(|| provision::refusal(claim, class)).flatten();
    // Others may have made a volume for it.
    let hopeless = !volumes.iter().any(|volume| fit::fits(volume, claim));
    match (refused, node) {
        (Some(why), _) if hopeless => refuse(class, &why),
        (_, None) if waits_for_pod(class) => Plan::say("WaitForFirstConsumer", WAITS),
        (None, Some(node)) if ours => made(claim, class, node),
        _ => external(class),
    }
}

fn refuse(class: &Object, why: &str) -> Plan {
    let class = class.name();
    let words = format!("failed to provision volume with StorageClass \"{class}\": {why}");
    Plan::warn("ProvisioningFailed", words)
}

fn external(class: &Object) -> Plan {
    let provisioner = class.text(&["provisioner"]);
    let words = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    );
    Plan::say("ExternalProvisioning", words)
}

fn made(claim: &Object, class: &Object, node: &str) -> Plan {
    let volume = provision::volume(claim, class, node);
    let words = format!("Successfully provisioned volume {}", volume.name());
    let annotated = json!({"metadata": {"uid": claim.uid(), "annotations": {PROVISIONER: local_volume::DRIVER}}});
    Plan::say("ProvisioningSucceeded", words)
        .and(Write::of(claim, Change::Patch(annotated)))
        .and(Write::of(&volume.clone(), Change::Create(Box::new(volume))))
}

/// A claim that asks for one volume, or has it.
fn named(claim: &Object, name: &str, view: &dyn View) -> Plan {
    let complete = known::is_complete(claim);
    let Some(volume) = view.volume(name) else {
        return match complete {
            true => lost(claim, "ClaimLost", LOST),
            false => Plan::default(),
        };
    };
    let has = volume.text(&["spec", "claimRef", "uid"]) == claim.uid();
    let free = volume.text(&["spec", "claimRef", "name"]).is_empty();
    match (complete, has || is_for(&volume, claim), free) {
        (true, true, _) if has => bound(claim, &volume),
        (_, true, _) | (_, _, true) => checked(claim, &volume),
        (true, false, false) => lost(claim, "ClaimMisbound", MISBOUND),
        (false, false, false) => {
            let words = format!("volume \"{name}\" already bound to a different claim.");
            Plan::warn("FailedBinding", words)
        }
    }
}

fn lost(claim: &Object, reason: &'static str, words: &str) -> Plan {
    if claim.text(&["status", "phase"]) == "Lost" {
        return Plan::default();
    }
    Plan::warn(reason, words).and(Write::status(claim, &json!({"phase": "Lost"})))
}

/// Binds what was chosen by people, if it will do.
fn checked(claim: &Object, volume: &Object) -> Plan {
    match fit::mismatch(volume, claim) {
        None => bind(claim, volume),
        Some(why) => {
            let words = format!(
                "Cannot bind to requested volume \"{}\": {why}",
                volume.name()
            );
            Plan::warn("VolumeMismatch", words)
        }
    }
}

/// Writes a claim's name into a volume.
pub(crate) fn give(volume: &Object, claim: &Object) -> Write {
    let mut patch = json!({"spec": {"claimRef": provision::reference(claim)}});
    if volume.text(&["spec", "claimRef", "name"]).is_empty() {
        patch["metadata"] = json!({"annotations": {BOUND_BY_CONTROLLER: "yes"}});
    }
    Write::exactly(volume, patch)
}

/// Volume first: what it says decides.
fn bind(claim: &Object, volume: &Object) -> Plan {
    let mut plan = Plan::default();
    if volume.text(&["spec", "claimRef", "uid"]) != claim.uid() {
        plan = plan.and(give(volume, claim));
    }
    let mut annotations = json!({BIND_COMPLETED: "yes"});
    if claim.text(&["spec", "volumeName"]).is_empty() {
        annotations[BOUND_BY_CONTROLLER] = "yes".into();
    }
    let patch = json!({
        "metadata": {"uid": claim.uid(), "annotations": annotations},
        "spec": {"volumeName": volume.name()},
    });
    let plan = plan.and(Write::of(claim, Change::Patch(patch)));
    plan.and(Write::status(claim, &status(volume)))
}

fn status(volume: &Object) -> Value {
    let of = |field: &str| volume.get(&["spec", field]).cloned().unwrap_or_default();
    json!({"phase": "Bound", "accessModes": of("accessModes"), "capacity": of("capacity")})
}

/// A claim that has its volume: it says what the volume is, and may grow.
fn bound(claim: &Object, volume: &Object) -> Plan {
    let ours = local_volume::node(volume).is_some();
    let more = quantity::compare(asked(claim), capacity(volume)) == Ok(Ordering::Greater);
    if ours && more {
        let grown = json!({"spec": {"capacity": {"storage": asked(claim)}}});
        return Plan::write(vec![Write::exactly(volume, grown)]);
    }
    let wanted = status(volume);
    let told = claim.get(&["status"]);
    let says = |field: &str| told.is_some_and(|told| told[field] == wanted[field]);
    if ["phase", "accessModes", "capacity"]
        .iter()
        .all(|field| says(field))
    {
        return Plan::default();
    }
    Plan::write(vec![Write::status(claim, &wanted)])
}
