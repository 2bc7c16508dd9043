//! admissionregistration.k8s.io, with the columns of upstream's printers.

use osier_api::Object;
use serde_json::Value;

use super::{AGE, Layout, NAME, array, number, since_creation, text};

const UNSET: &str = "<unset>";

pub(super) fn layout(plural: &str) -> Layout {
    match plural {
        "validatingadmissionpolicies" => POLICIES,
        "validatingadmissionpolicybindings" => BINDINGS,
        _ => WEBHOOKS,
    }
}

const WEBHOOKS: Layout = Layout {
    columns: &[
        NAME,
        number(
            "Webhooks",
            "Webhooks indicates the number of webhooks registered in this configuration",
        ),
        AGE,
    ],
    cells: |object, now| {
        let webhooks = array(object, &["webhooks"]).len();
        vec![
            object.name().into(),
            webhooks.into(),
            since_creation(object, now),
        ]
    },
};

const POLICIES: Layout = Layout {
    columns: &[
        NAME,
        number(
            "Validations",
            "Validations indicates the number of validation rules defined in this configuration",
        ),
        text(
            "ParamKind",
            "ParamKind specifies the kind of resources used to parameterize this policy",
        ),
        AGE,
    ],
    cells: |object, now| {
        let validations = array(object, &["spec", "validations"]).len();
        let said = |field: &str| object.text(&["spec", "paramKind", field]);
        let kind = match said("kind") {
            "" => UNSET.to_owned(),
            kind => format!("{}/{kind}", said("apiVersion")),
        };
        vec![
            object.name().into(),
            validations.into(),
            kind.into(),
            since_creation(object, now),
        ]
    },
};

const BINDINGS: Layout = Layout {
    columns: &[
        NAME,
        text(
            "PolicyName",
            "PolicyName indicates the policy definition which the policy binding binded to",
        ),
        text(
            "ParamRef",
            "ParamRef indicates the param resource which sets the configration param",
        ),
        AGE,
    ],
    cells: |object, now| {
        vec![
            object.name().into(),
            object.text(&["spec", "policyName"]).into(),
            parameter(object),
            since_creation(object, now),
        ]
    },
};

fn parameter(binding: &Object) -> Value {
    let said = |field: &str| binding.text(&["spec", "paramRef", field]);
    match (said("namespace"), said("name")) {
        (_, "") if binding.get(&["spec", "paramRef", "selector"]).is_some() => "*".into(),
        (_, "") => UNSET.into(),
        ("", name) => name.into(),
        (namespace, name) => format!("{namespace}/{name}").into(),
    }
}
