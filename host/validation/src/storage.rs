//! Volumes, the claims that ask for them, and the classes by which they are made.

use super::at::At;
use super::cluster::{above, amounts};
use super::names;
use osier_api::{Fault, Object, quantity};

const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
const RECLAIM: [&str; 2] = ["Delete", "Retain"];
const BINDING: [&str; 2] = ["Immediate", "WaitForFirstConsumer"];

/// A class of volumes.
pub(super) fn check_class(class: &Object) -> Vec<Fault> {
    let at = |field: &str| At::of(class, field);
    let provisioner = at("provisioner");
    let mut faults = match provisioner.is_set() {
        true => provisioner.optional_name(names::qualified),
        false => vec![provisioner.required("")],
    };
    faults.extend(at("reclaimPolicy").one_of(&RECLAIM));
    faults.extend(at("volumeBindingMode").one_of(&BINDING));
    faults
}

/// How a class makes volumes stays.
pub(super) fn check_class_update(old: &Object, new: &Object) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in ["parameters", "provisioner", "reclaimPolicy"] {
        let [was, is] = [old, new].map(|class| At::of(class, field));
        if was.value != is.value {
            faults.push(is.forbidden(&format!("updates to {field} are forbidden.")));
        }
    }
    let [was, is] = [old, new].map(|class| At::of(class, "volumeBindingMode"));
    if was.value != is.value {
        faults.push(is.invalid("field is immutable"));
    }
    faults
}

fn modes(spec: &At<'_>) -> Vec<Fault> {
    let list = spec.at("accessModes");
    if !list.is_set() {
        return vec![list.required("at least 1 access mode is required")];
    }
    let items = list.items();
    let mut faults: Vec<Fault> = items
        .iter()
        .filter_map(|mode| mode.one_of(&MODES))
        .collect();
    if items.len() > 1 && items.iter().any(|mode| mode.text() == "ReadWriteOncePod") {
        faults.push(list.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
    faults.extend(spec.at("volumeMode").one_of(&VOLUME_MODES));
    faults
}

pub(super) fn check_volume(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = modes(spec);
    let storage = spec.at("capacity").at("storage");
    if storage.is_set() {
        faults.extend(amounts(&spec.at("capacity")));
    } else {
        faults.push(spec.at("capacity").required(""));
    }
    faults.extend(sources(spec));
    let reclaim = spec.at("persistentVolumeReclaimPolicy");
    faults.extend(reclaim.one_of(&["Delete", "Recycle", "Retain"]));
    let (local, terms) = (spec.at("local"), spec.at("nodeAffinity").at("required"));
    if local.is_present() && !terms.at("nodeSelectorTerms").is_set() {
        let affinity = spec.at("nodeAffinity");
        faults.push(affinity.required("Local volume requires node affinity"));
    }
    faults
}

/// A volume is in one place.
fn sources(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let sources: Vec<&str> = spec
        .entries()
        .into_iter()
        .filter(|(name, at)| SOURCES.contains(name) && at.is_present())
        .map(|(name, _)| name)
        .collect();
    match sources.as_slice() {
        [] => faults.push(spec.required("must specify a volume type")),
        [_] => {}
        [_, more @ ..] => {
            let more = more.iter();
            faults.extend(more.map(|name| {
                spec.at(name)
                    .forbidden("may not specify more than 1 volume type")
            }));
        }
    }
    faults
}

/// Where a volume is stays, and so does the way to it.
pub(super) fn check_volume_update(old: &Object, new: &Object) -> Vec<Fault> {
    let (before, after) = (At::of(old, "spec"), At::of(new, "spec"));
    let mut faults = Vec::new();
    if SOURCES
        .iter()
        .any(|source| before.at(source).value != after.at(source).value)
    {
        faults.push(after.forbidden("spec.persistentvolumesource is immutable after creation"));
    }
    for field in ["nodeAffinity", "volumeMode"] {
        let [was, is] = [&before, &after].map(|spec| spec.at(field));
        if was.is_present() && was.value != is.value {
            faults.push(is.invalid("field is immutable"));
        }
    }
    faults
}

/// The fields of a volume that say where it is.
pub const SOURCES: [&str; 22] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

pub(super) fn check_claim(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = modes(spec);
    let storage = spec.at("resources").at("requests").at("storage");
    if !storage.is_set() {
        faults.push(storage.required(""));
    } else if quantity::bytes(storage.text()).is_ok_and(|bytes| bytes == 0) {
        faults.push(storage.invalid("must be greater than zero"));
    }
    faults.extend(amounts(&spec.at("resources").at("requests")));
    faults.extend(spec.at("storageClassName").optional_name(names::subdomain));
    faults
}

/// A claim may grow and be given a volume; the rest stays.
pub(super) fn check_claim_update(old: &Object, new: &Object) -> Vec<Fault> {
    let fixed = |claim: &Object| {
        let mut claim = claim.clone();
        claim.remove(&["spec", "resources", "requests", "storage"]);
        claim.remove(&["spec", "volumeAttributesClassName"]);
        claim.remove(&["spec", "volumeName"]);
        claim.get(&["spec"]).cloned()
    };
    let spec = At::of(new, "spec");
    let mut faults = Vec::new();
    if fixed(old) != fixed(new) {
        faults.push(spec.forbidden("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
    }
    let (before, after) = (At::of(old, "spec"), &spec);
    let [was, is] = [&before, after].map(|spec| spec.at("resources").at("requests").at("storage"));
    if above(&was, &is) {
        faults.push(is.forbidden("field can not be less than previous value"));
    }
    let [was, is] = [&before, after].map(|spec| spec.at("volumeName"));
    if was.is_set() && was.value != is.value {
        faults.push(is.forbidden("may not change once set"));
    }
    faults
}
