//! Defaults of volumes.

use serde_json::{Map, Value, json};

use super::{child, children, default, default_text};

type Json = Map<String, Value>;

const FILE_MODE: i64 = 0o644;

/// A volume; one without a source is an empty directory.
pub(super) fn volume(volume: &mut Json) {
    if volume.keys().all(|key| key == "name") {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = child(volume, source) {
            default(source, "defaultMode", FILE_MODE);
        }
    }
    if let Some(source) = child(volume, "downwardAPI") {
        downward(source);
    }
    if let Some(source) = child(volume, "projected") {
        children(source, "sources").for_each(projection);
    }
    if let Some(source) = child(volume, "hostPath") {
        default(source, "type", "");
    }
    remote(volume);
}

/// Disks and directories of other machines.
fn remote(volume: &mut Json) {
    texts(child(volume, "iscsi"), &[("iscsiInterface", "default")]);
    texts(
        child(volume, "rbd"),
        &[
            ("pool", "rbd"),
            ("user", "admin"),
            ("keyring", "/etc/ceph/keyring"),
        ],
    );
    texts(
        child(volume, "scaleIO"),
        &[("storageMode", "ThinProvisioned"), ("fsType", "xfs")],
    );
    if let Some(source) = child(volume, "azureDisk") {
        texts(
            Some(source),
            &[
                ("cachingMode", "ReadWrite"),
                ("kind", "Shared"),
                ("fsType", "ext4"),
            ],
        );
        default(source, "readOnly", false);
    }
    let claim = child(volume, "ephemeral").and_then(|source| child(source, "volumeClaimTemplate"));
    if let Some(spec) = claim.and_then(|claim| child(claim, "spec")) {
        default(spec, "volumeMode", "Filesystem");
    }
}

fn projection(source: &mut Json) {
    if let Some(token) = child(source, "serviceAccountToken") {
        default(token, "expirationSeconds", 3600);
    }
    if let Some(fields) = child(source, "downwardAPI") {
        downward(fields);
    }
}

fn downward(source: &mut Json) {
    for item in children(source, "items") {
        if let Some(field) = child(item, "fieldRef") {
            default_text(field, "apiVersion", "v1");
        }
    }
}

fn texts(source: Option<&mut Json>, defaults: &[(&str, &str)]) {
    let Some(source) = source else { return };
    for (key, value) in defaults {
        default_text(source, key, value);
    }
}
