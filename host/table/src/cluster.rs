//! Columns of limits, definitions, quotas, priorities, templates, volumes and network policies.

use jiff::Timestamp;
use serde_json::Value;

use super::{AGE, Column, Layout, NAME, array, joined, number, since_creation, text, wide};
use osier_api::Object;
use osier_api::selector::LabelSelector;

/// Of limits, and of definitions of kinds.
pub(super) const WITH_CREATION: Layout = Layout {
    columns: &[NAME, text("Created At", "When the object was created.")],
    cells: |object, _| {
        vec![
            object.name().into(),
            object.creation_timestamp().unwrap_or("").into(),
        ]
    },
};

/// A part of the control plane says one thing of itself.
pub(super) const COMPONENT_STATUSES: Layout = Layout {
    columns: &[
        NAME,
        text("Status", "Whether it does its work."),
        text("Message", "What it says."),
        text("Error", "What is wrong with it."),
    ],
    cells: |object, _| {
        let healthy = array(object, &["conditions"]).iter();
        let said = healthy.clone().find(|one| one["type"] == "Healthy");
        let text = |field: &str| {
            said.and_then(|said| said[field].as_str())
                .unwrap_or_default()
        };
        let status = match text("status") {
            "True" => "Healthy",
            "False" => "Unhealthy",
            _ => "Unknown",
        };
        vec![
            object.name().into(),
            status.into(),
            text("message").into(),
            text("error").into(),
        ]
    },
};

pub(super) const RESOURCE_QUOTAS: Layout = Layout {
    columns: &[
        NAME,
        AGE,
        text("Request", "Used and allowed requests and counts."),
        text("Limit", "Used and allowed limits."),
    ],
    cells: quota,
};

fn quota(object: &Object, now: Timestamp) -> Vec<Value> {
    let hard = object
        .get(&["status", "hard"])
        .or(object.get(&["spec", "hard"]));
    let hard = hard.and_then(Value::as_object);
    let shares = |limits: bool| -> String {
        let names = hard.into_iter().flat_map(|hard| hard.iter());
        let names = names.filter(|(name, _)| name.starts_with("limits.") == limits);
        let share = |(name, most): (&String, &Value)| {
            let used = object
                .get(&["status", "used", name])
                .and_then(Value::as_str);
            format!(
                "{name}: {}/{}",
                used.unwrap_or("0"),
                most.as_str().unwrap_or("")
            )
        };
        names.map(share).collect::<Vec<_>>().join(", ")
    };
    vec![
        object.name().into(),
        since_creation(object, now),
        shares(false).into(),
        shares(true).into(),
    ]
}

pub(super) const PRIORITY_CLASSES: Layout = Layout {
    columns: &[
        NAME,
        number("Value", "The priority of pods of the class."),
        text(
            "Global-Default",
            "Whether pods without a class are of this one.",
        ),
        AGE,
        text(
            "PreemptionPolicy",
            "Whether pods of the class may push others out.",
        ),
    ],
    cells: |object, now| {
        let default = object.get(&["globalDefault"]) == Some(&Value::Bool(true));
        vec![
            object.name().into(),
            object.get(&["value"]).cloned().unwrap_or(0.into()),
            default.to_string().into(),
            since_creation(object, now),
            object.text(&["preemptionPolicy"]).into(),
        ]
    },
};

pub(super) const POD_TEMPLATES: Layout = Layout {
    columns: &[
        NAME,
        text("Containers", "Names of the containers."),
        text("Images", "Images of the containers."),
        text("Pod Labels", "Labels of the pods."),
    ],
    cells: |object, _| {
        let containers = array(object, &["template", "spec", "containers"]);
        let each =
            |key: &'static str| joined(containers.iter().filter_map(move |one| one[key].as_str()));
        let labels = object
            .get(&["template", "metadata", "labels"])
            .and_then(Value::as_object);
        let labels: Vec<String> = labels
            .into_iter()
            .flatten()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
            .collect();
        vec![
            object.name().into(),
            each("name"),
            each("image"),
            joined(labels.iter().map(String::as_str)),
        ]
    },
};

/// `RWO,ROX`.
fn modes(object: &Object) -> String {
    let short = |mode: &Value| match mode.as_str()? {
        "ReadWriteOnce" => Some("RWO"),
        "ReadOnlyMany" => Some("ROX"),
        "ReadWriteMany" => Some("RWX"),
        "ReadWriteOncePod" => Some("RWOP"),
        _ => None,
    };
    let modes = array(object, &["spec", "accessModes"]).iter();
    modes.filter_map(short).collect::<Vec<_>>().join(",")
}

fn phase(object: &Object) -> Value {
    if object.deletion_timestamp().is_some() {
        "Terminating".into()
    } else {
        object.text(&["status", "phase"]).into()
    }
}

const ATTRIBUTES: Column = text(
    "VolumeAttributesClass",
    "The class of what may change of it.",
);

fn attributes(object: &Object) -> Value {
    match object.text(&["spec", "volumeAttributesClassName"]) {
        "" => "<unset>".into(),
        class => class.into(),
    }
}

pub(super) const PERSISTENT_VOLUMES: Layout = Layout {
    columns: &[
        NAME,
        text("Capacity", "How much it holds."),
        text("Access Modes", "How it can be mounted."),
        text("Reclaim Policy", "What becomes of it after its claim."),
        text("Status", "Whether it is free, bound or released."),
        text("Claim", "The claim that has it."),
        text("StorageClass", "Its class."),
        ATTRIBUTES,
        text("Reason", "Why it is in this state."),
        AGE,
        wide("VolumeMode", "Whether it is a file system or a device."),
    ],
    cells: |object, now| {
        let claim = |field: &str| object.text(&["spec", "claimRef", field]).to_owned();
        let claim = match claim("name") {
            name if name.is_empty() => name,
            name => format!("{}/{name}", claim("namespace")),
        };
        vec![
            object.name().into(),
            object.text(&["spec", "capacity", "storage"]).into(),
            modes(object).into(),
            object
                .text(&["spec", "persistentVolumeReclaimPolicy"])
                .into(),
            phase(object),
            claim.into(),
            object.text(&["spec", "storageClassName"]).into(),
            attributes(object),
            object.text(&["status", "reason"]).into(),
            since_creation(object, now),
            object.text(&["spec", "volumeMode"]).into(),
        ]
    },
};

pub(super) const PERSISTENT_VOLUME_CLAIMS: Layout = Layout {
    columns: &[
        NAME,
        text("Status", "Whether it is bound."),
        text("Volume", "The volume that it has."),
        text("Capacity", "How much the volume holds."),
        text("Access Modes", "How it can be mounted."),
        text("StorageClass", "Its class."),
        ATTRIBUTES,
        AGE,
        wide("VolumeMode", "Whether it is a file system or a device."),
    ],
    cells: |object, now| {
        vec![
            object.name().into(),
            phase(object),
            object.text(&["spec", "volumeName"]).into(),
            object.text(&["status", "capacity", "storage"]).into(),
            modes(object).into(),
            object.text(&["spec", "storageClassName"]).into(),
            attributes(object),
            since_creation(object, now),
            object.text(&["spec", "volumeMode"]).into(),
        ]
    },
};

/// Marks the class of claims that name none.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) const STORAGE_CLASSES: Layout = Layout {
    columns: &[
        NAME,
        text("Provisioner", "Who makes the volumes."),
        text("ReclaimPolicy", "What becomes of a volume after its claim."),
        text("VolumeBindingMode", "When a claim gets its volume."),
        text("AllowVolumeExpansion", "Whether a claim may grow."),
        AGE,
    ],
    cells: |object, now| {
        let default = object.annotation(DEFAULT_CLASS) == Some("true");
        let mark = if default { " (default)" } else { "" };
        let grows = object.get(&["allowVolumeExpansion"]) == Some(&Value::Bool(true));
        vec![
            format!("{}{mark}", object.name()).into(),
            object.text(&["provisioner"]).into(),
            object.text(&["reclaimPolicy"]).into(),
            object.text(&["volumeBindingMode"]).into(),
            grows.to_string().into(),
            since_creation(object, now),
        ]
    },
};

pub(super) const NETWORK_POLICIES: Layout = Layout {
    columns: &[
        NAME,
        text("Pod-Selector", "The pods that it is about."),
        AGE,
    ],
    cells: |object, now| {
        let selector = object.get(&["spec", "podSelector"]);
        let selector = selector.and_then(|one| LabelSelector::from_object(one).ok());
        let shown = selector.unwrap_or_default().to_string();
        let shown = if shown.is_empty() {
            "<none>".to_owned()
        } else {
            shown
        };
        vec![
            object.name().into(),
            shown.into(),
            since_creation(object, now),
        ]
    },
};
