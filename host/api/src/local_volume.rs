//! Volumes that are made here for claims: directories on the disk of one node, known by the name of their PersistentVolume.

use serde_json::{Value, json};

use crate::Object;

/// Who makes them, as `spec.csi.driver` and in StorageClasses.
pub const DRIVER: &str = "local.osier.dev";
/// The class that is there from the start.
pub const CLASS: &str = "local";
/// Held by a volume as long as its directory may be there.
pub const FINALIZER: &str = "external-provisioner.volume.kubernetes.io/finalizer";

const HOST: &str = "kubernetes.io/hostname";

/// `spec.csi` of the volume of this name.
#[must_use]
pub fn source(name: &str) -> Value {
    json!({"driver": DRIVER, "volumeHandle": name})
}

/// `spec.nodeAffinity` of a volume on this node's disk.
#[must_use]
pub fn affinity(node: &str) -> Value {
    let here = json!({"key": HOST, "operator": "In", "values": [node]});
    json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}})
}

/// The node whose disk has the volume; `None` if the volume was not made here.
#[must_use]
pub fn node(volume: &Object) -> Option<&str> {
    if volume.text(&["spec", "csi", "driver"]) != DRIVER {
        return None;
    }
    let terms = volume.get(&["spec", "nodeAffinity", "required", "nodeSelectorTerms"])?;
    let mut asked = terms[0]["matchExpressions"].as_array()?.iter();
    let host = asked.find(|one| one["key"] == HOST)?;
    host["values"][0].as_str()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_volume_says_whose_disk_has_it() {
        let mut volume = Object::from_value(json!({"metadata": {"name": "v"}})).unwrap();
        assert_eq!(node(&volume), None);
        volume.set(&["spec", "nodeAffinity"], affinity("a"));
        assert_eq!(node(&volume), None, "made by others");
        volume.set(&["spec", "csi"], source("v"));
        assert_eq!(node(&volume), Some("a"));
    }
}
