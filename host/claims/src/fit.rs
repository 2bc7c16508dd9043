//! Which volumes a claim may have.

use std::cmp::Ordering;
use std::sync::Arc;

use osier_api::selector::LabelSelector;
use osier_api::{Object, quantity};

use crate::known::{asked, capacity, class, is_for, modes};

/// Why a volume is not what a claim asks for, in Kubernetes' words.
pub(crate) fn mismatch(volume: &Object, claim: &Object) -> Option<&'static str> {
    if quantity::compare(capacity(volume), asked(claim)) == Ok(Ordering::Less) {
        return Some("requested PV is too small");
    }
    if class(volume) != class(claim) {
        return Some("storageClassName does not match");
    }
    let kind = |object: &Object| object.text(&["spec", "volumeMode"]) == "Block";
    if kind(volume) != kind(claim) {
        return Some("incompatible volumeMode");
    }
    let has = |mode: &str| modes(volume).any(|one| one == mode);
    (!modes(claim).all(has)).then_some("incompatible accessMode")
}

/// A volume that is free, or meant for the claim, and what it asks for.
pub(crate) fn fits(volume: &Object, claim: &Object) -> bool {
    let free = volume.text(&["spec", "claimRef", "name"]).is_empty() || is_for(volume, claim);
    let phase = volume.text(&["status", "phase"]);
    let whole = volume.deletion_timestamp().is_none() && !["Released", "Failed"].contains(&phase);
    free && whole && mismatch(volume, claim).is_none() && selected(volume, claim)
}

fn selected(volume: &Object, claim: &Object) -> bool {
    let Some(selector) = claim
        .get(&["spec", "selector"])
        .filter(|one| one.is_object())
    else {
        return true;
    };
    LabelSelector::from_object(selector).is_ok_and(|selector| selector.selects(volume))
}

/// The volume that wastes least, of those that fit and are acceptable; of equals the first by name.
pub(crate) fn best<'a>(
    claim: &Object,
    volumes: &'a [Arc<Object>],
    acceptable: impl Fn(&Object) -> bool,
) -> Option<&'a Arc<Object>> {
    let fitting = volumes
        .iter()
        .filter(|volume| fits(volume, claim) && acceptable(volume));
    fitting.min_by(|a, b| {
        let sizes = quantity::compare(capacity(a), capacity(b));
        let meant = is_for(b, claim).cmp(&is_for(a, claim));
        let sizes = sizes.unwrap_or(Ordering::Equal);
        meant.then(sizes).then_with(|| a.name().cmp(b.name()))
    })
}
