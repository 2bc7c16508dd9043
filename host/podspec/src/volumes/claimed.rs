//! Volumes by claim: what a claim stands for is where its PersistentVolume is.

use osier_api::{Object, local_volume};
use serde_json::Value;

use super::{Content, VolumeError, host};
use crate::environment::{SourceKind, Sources};

/// The claim that a volume of a pod is.
pub(super) fn reference(volume: &Value) -> Option<(SourceKind, String)> {
    let name = volume["persistentVolumeClaim"]["claimName"].as_str()?;
    Some((SourceKind::Claim, name.to_owned()))
}

fn found<'a>(claim: &Value, sources: &'a Sources) -> Option<&'a Object> {
    let name = claim["claimName"].as_str().unwrap_or_default();
    sources.get(&(SourceKind::Claim, name.to_owned()))
}

/// Whether nobody writes to the claim's volume here: the pod says so, or it can be had in no other way.
pub(super) fn is_read_only(claim: &Value, sources: &Sources) -> bool {
    let modes = found(claim, sources).and_then(|one| one.get(&["spec", "accessModes"])?.as_array());
    let only = |modes: &Vec<Value>| modes.iter().all(|mode| mode == "ReadOnlyMany");
    claim["readOnly"] == true || modes.is_some_and(only)
}

/// Where the volume of a claim is.
pub(super) fn content(
    (name, volume): (&str, &Value),
    pod: &Object,
    sources: &Sources,
) -> Result<Content, VolumeError> {
    let claim = &volume["persistentVolumeClaim"];
    let found = found(claim, sources).ok_or_else(|| absent(name, claim))?;
    let source = |kind: &str| found.get(&["spec", kind]).filter(|one| one.is_object());
    match (
        local_volume::node(found),
        source("hostPath").or(source("local")),
    ) {
        (Some(node), _) if node == pod.text(&["spec", "nodeName"]) => {
            Ok(Content::Claim(found.name().to_owned()))
        }
        (Some(node), _) => Err(elsewhere(name, claim, node)),
        (None, Some(source)) => host(name, source),
        (None, None) => Err(unmountable(name, found)),
    }
}

fn unmountable(volume: &str, found: &Object) -> VolumeError {
    VolumeError::Kind {
        volume: volume.to_owned(),
        kind: format!("the source of PersistentVolume {:?}", found.name()),
    }
}

fn absent(volume: &str, claim: &Value) -> VolumeError {
    VolumeError::NoObject {
        volume: volume.to_owned(),
        kind: SourceKind::Claim.title(),
        name: claim["claimName"].as_str().unwrap_or_default().to_owned(),
    }
}

fn elsewhere(volume: &str, claim: &Value, node: &str) -> VolumeError {
    VolumeError::Elsewhere {
        volume: volume.to_owned(),
        claim: claim["claimName"].as_str().unwrap_or_default().to_owned(),
        node: node.to_owned(),
    }
}
