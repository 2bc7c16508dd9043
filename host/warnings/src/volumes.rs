//! What of volumes has no effect for components, or keeps a container waiting.

use osier_api::local_volume;
use osier_validation::{At, VOLUME_SOURCES};

use crate::said::{said, unmountable};

const MOUNTABLE: &str =
    "use emptyDir, hostPath, persistentVolumeClaim, configMap, secret, downwardAPI or projected";
const MODES: &str = "files have no modes in WASI: all that a container mounts it may read";
const OWNERS: &str = "files have no owners in WASI: all that a container mounts it may read";
/// 0644, what volumes say that say nothing.
const DEFAULT_MODE: i64 = 420;

/// What nodes mount of volumes that people make: directories.
pub(crate) fn persistent(spec: &At<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, source) in spec.entries() {
        let local = source.at("driver").text() == local_volume::DRIVER;
        if VOLUME_SOURCES.contains(&name) && !["hostPath", "local"].contains(&name) && !local {
            unmountable(&mut found, &source, "use hostPath or local");
        }
    }
    let recycled = |policy: &At<'_>| policy.text() == "Recycle";
    let why = "use Retain, or claims of a class that makes their volumes";
    said(
        &mut found,
        spec.at("persistentVolumeReclaimPolicy"),
        recycled,
        why,
    );
    said(
        &mut found,
        spec.at("mountOptions"),
        At::is_set,
        "a component is given a directory",
    );
    found
}

/// Volumes of a pod: those that no container here can mount keep it waiting, and shall not surprise.
pub(crate) fn of_pod(volumes: &At<'_>, found: &mut Vec<String>) {
    for volume in volumes.items() {
        for (kind, source) in volume.entries() {
            match kind {
                "name" | "hostPath" | "persistentVolumeClaim" => {}
                "configMap" | "secret" | "downwardAPI" => modes(&source, found),
                "emptyDir" => {
                    let medium = "an emptyDir is on the node's disk";
                    said(found, source.at("medium"), At::is_set, medium);
                    said(found, source.at("mode"), At::is_present, MODES);
                }
                "projected" => projected(&source, found),
                _ => unmountable(found, &source, MOUNTABLE),
            }
        }
    }
}

fn projected(projected: &At<'_>, found: &mut Vec<String>) {
    modes(projected, found);
    for source in projected.at("sources").items() {
        for kind in ["clusterTrustBundle", "podCertificate"] {
            unmountable(found, &source.at(kind), "leave it out");
        }
        for kind in ["configMap", "secret", "downwardAPI"] {
            modes(&source.at(kind), found);
        }
        let token = source.at("serviceAccountToken");
        said(found, token.at("user"), At::is_present, OWNERS);
    }
}

fn modes(source: &At<'_>, found: &mut Vec<String>) {
    let other = |mode: &At<'_>| mode.int().is_some_and(|mode| mode != DEFAULT_MODE);
    said(found, source.at("defaultMode"), other, MODES);
    said(found, source.at("defaultUser"), At::is_present, OWNERS);
    for item in source.at("items").items() {
        said(found, item.at("mode"), other, MODES);
        said(found, item.at("user"), At::is_present, OWNERS);
    }
}
