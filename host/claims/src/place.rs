//! Pods with claims: on which nodes they can run, and what is done when one is chosen.

use std::collections::BTreeSet;
use std::sync::Arc;

use osier_api::Object;
use osier_scheduling::Reach;
use osier_scheduling::node_affinity::{Site, selects};
use serde_json::{Value, json};

use crate::binding::give;
use crate::fit;
use crate::known::{
    SELECTED_NODE, affinity, class, is_complete, is_for, is_ours, modes, waits_for_pod,
};
use crate::provision;
use crate::step::{Change, Write};
use crate::used::{self, is_placed, mounts};
use crate::view::View;

const EXCLUSIVE: &str = "ReadWriteOncePod";

/// Where the claims of a pod stand on a node that is chosen for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Reserved {
    /// They have their volumes: the pod may run there.
    Ready,
    /// They will, after these writes and what follows from them.
    Waits(Vec<Write>),
}

/// From where the volumes of a pod can be had. `given` knows the uids of pods that were given a node, whether or not they say so yet.
///
/// # Errors
/// Why no node will do for now, in kube-scheduler's words.
pub fn reach(pod: &Object, view: &dyn View, given: &dyn Fn(&str) -> bool) -> Result<Reach, String> {
    let mut reach = Reach::default();
    for name in used::claims(pod) {
        let claim = usable((pod, name), view, given)?;
        if !is_complete(&claim) {
            open(&claim, view, &mut reach)?;
            continue;
        }
        let volume = claim.text(&["spec", "volumeName"]);
        let Some(found) = view.volume(volume) else {
            return Err(format!(
                "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{volume}\""
            ));
        };
        reach.bound.push(affinity(&found));
    }
    Ok(reach)
}

/// A claim that the pod may mount.
fn usable(
    (pod, name): (&Object, &str),
    view: &dyn View,
    given: &dyn Fn(&str) -> bool,
) -> Result<Arc<Object>, String> {
    let Some(claim) = view.claim(pod.namespace(), name) else {
        return Err(format!("persistentvolumeclaim \"{name}\" not found"));
    };
    if claim.deletion_timestamp().is_some() {
        return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
    }
    let alone = modes(&claim).any(|mode| mode == EXCLUSIVE);
    let has = |other: &Object| is_placed(other) || given(other.uid());
    let others = || {
        let pods = view.pods(pod.namespace());
        let mut pods = pods.iter().filter(|other| other.uid() != pod.uid());
        pods.any(|other| mounts(other, name) && has(other))
    };
    if alone && others() {
        return Err("node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode".to_owned());
    }
    Ok(claim)
}

/// What volumes a claim could get.
fn open(claim: &Object, view: &dyn View, reach: &mut Reach) -> Result<(), String> {
    let class = view.class(class(claim));
    let waits = class.as_ref().is_some_and(|class| waits_for_pod(class));
    let meant = view.volumes().iter().any(|volume| is_for(volume, claim));
    if !waits && !meant {
        return Err("pod has unbound immediate PersistentVolumeClaims".to_owned());
    }
    let volumes = view.volumes();
    let fitting = volumes.iter().filter(|volume| fit::fits(volume, claim));
    let mut could: Vec<Value> = fitting.map(|volume| affinity(volume)).collect();
    if let Some(class) = class.filter(|class| is_ours(class))
        && provision::refusal(claim, &class).is_none()
    {
        could.extend(provision::places(&class));
    }
    reach.open.push(could);
    // Its volume is being made there.
    let chosen = claim.annotation(SELECTED_NODE);
    reach.bound.extend(chosen.map(named));
    Ok(())
}

/// A node selector for the node of this name.
fn named(node: &str) -> Value {
    let ask = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    json!({"nodeSelectorTerms": [{"matchFields": [ask]}]})
}

/// What is written when a node is chosen for a pod: each claim without a volume is given one that can be had there, or one is asked for.
pub fn reserve(pod: &Object, site: Site<'_>, view: &dyn View) -> Reserved {
    let named = used::claims(pod).filter_map(|name| view.claim(pod.namespace(), name));
    let waiting: Vec<Arc<Object>> = named.filter(|claim| !is_complete(claim)).collect();
    if waiting.is_empty() {
        return Reserved::Ready;
    }
    let volumes = view.volumes();
    let (mut taken, mut writes) = (BTreeSet::new(), Vec::new());
    for claim in waiting {
        let meant = volumes.iter().any(|volume| is_for(volume, &claim));
        if meant || claim.annotation(SELECTED_NODE).is_some() {
            continue;
        }
        let free =
            |volume: &Object| selects(&affinity(volume), site) && !taken.contains(volume.name());
        let found = fit::best(&claim, &volumes, free);
        taken.extend(found.map(|volume| volume.name().to_owned()));
        writes.push(found.map_or_else(|| chosen(&claim, site), |volume| give(volume, &claim)));
    }
    Reserved::Waits(writes)
}

/// A volume is asked for on the node.
fn chosen(claim: &Object, site: Site<'_>) -> Write {
    let annotations = json!({SELECTED_NODE: site.name});
    let patch = json!({"metadata": {"uid": claim.uid(), "annotations": annotations}});
    Write::of(claim, Change::Patch(patch))
}
