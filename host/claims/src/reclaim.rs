//! The next step of a volume: whose it is, and what becomes of it afterwards.

use osier_api::{Object, local_volume};
use serde_json::json;

use crate::binding::without_finalizer;
use crate::known::{BOUND_BY_CONTROLLER, VOLUME_PROTECTION};
use crate::step::{Plan, Told, Write};
use crate::view::View;

const NO_RECYCLER: &str = "No recycler plugin found for the volume!";

/// What is to be done for a volume.
pub fn volume(volume: &Object, view: &dyn View) -> Plan {
    let of = |field: &str| volume.text(&["spec", "claimRef", field]);
    let (namespace, name, uid) = (of("namespace"), of("name"), of("uid"));
    if name.is_empty() || uid.is_empty() {
        return free(volume);
    }
    let claim = view
        .claim(namespace, name)
        .filter(|claim| claim.uid() == uid);
    let Some(claim) = claim else {
        let without = (namespace.to_owned(), name.to_owned(), uid.to_owned());
        return Plan {
            without: Some(without),
            ..released(volume)
        };
    };
    match claim.text(&["spec", "volumeName"]) {
        // The claim's own turn comes.
        "" => Plan::default(),
        has if has == volume.name() => become_of(volume, "Bound"),
        _ => unbind(volume),
    }
}

/// Says what phase the volume is in, if that is new.
fn become_of(volume: &Object, phase: &str) -> Plan {
    if volume.text(&["status", "phase"]) == phase {
        return Plan::default();
    }
    // What was wrong in another phase is over.
    let status = json!({"phase": phase, "message": null, "reason": null});
    Plan::write(vec![Write::status(volume, &status)])
}

/// A volume that nobody has.
fn free(volume: &Object) -> Plan {
    match unprotected(volume) {
        Some(write) => Plan::write(vec![write]),
        None => become_of(volume, "Available"),
    }
}

/// Nothing but a claim keeps a volume from going.
fn unprotected(volume: &Object) -> Option<Write> {
    let going = volume.deletion_timestamp().is_some();
    let held = volume.finalizers().contains(&VOLUME_PROTECTION);
    (going && held).then(|| without_finalizer(volume, VOLUME_PROTECTION))
}

/// A volume whose claim got another one: what the controller gave it takes away.
fn unbind(volume: &Object) -> Plan {
    let by_controller = volume.annotation(BOUND_BY_CONTROLLER).is_some();
    let patch = match (local_volume::node(volume).is_some(), by_controller) {
        // It was made for that claim, and is of no use to another.
        (true, _) => return become_of(volume, "Released"),
        (false, true) => {
            json!({"metadata": {"annotations": {BOUND_BY_CONTROLLER: null}}, "spec": {"claimRef": null}})
        }
        (false, false) => json!({"spec": {"claimRef": {"uid": null, "resourceVersion": null}}}),
    };
    Plan::write(vec![Write::exactly(volume, patch)])
}

/// A volume whose claim is gone.
fn released(volume: &Object) -> Plan {
    let phase = volume.text(&["status", "phase"]);
    if !["Released", "Failed"].contains(&phase) {
        return become_of(volume, "Released");
    }
    if let Some(write) = unprotected(volume) {
        return Plan::write(vec![write]);
    }
    let policy = volume.text(&["spec", "persistentVolumeReclaimPolicy"]);
    // What was made here the node that has it takes away.
    match policy {
        _ if phase == "Failed" || local_volume::node(volume).is_some() => Plan::default(),
        "Delete" => failed(volume, "VolumeFailedDelete", &undeletable(volume)),
        "Recycle" => failed(volume, "VolumeFailedRecycle", NO_RECYCLER),
        _ => Plan::default(),
    }
}

fn undeletable(volume: &Object) -> String {
    let name = volume.name();
    format!(
        "error getting deleter volume plugin for volume \"{name}\": no deletable volume plugin matched"
    )
}

fn failed(volume: &Object, reason: &'static str, words: &str) -> Plan {
    let status = json!({"phase": "Failed", "reason": reason, "message": words});
    let told = Told {
        warning: true,
        reason,
        message: words.to_owned(),
    };
    Plan {
        told: Some(told),
        ..Plan::write(vec![Write::status(volume, &status)])
    }
}
