//! [`Binding`]: where a policy holds, with which parameters, and what comes of a refusal.

use osier_api::Object;
use osier_api::selector::LabelSelector;
use serde_json::Value;

use crate::matching::Matcher;

/// What comes of a write that a policy refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is not done.
    Deny,
    /// The caller is told.
    Warn,
    /// The audit log is told.
    Audit,
}

impl Action {
    /// As bindings name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "Deny",
            Self::Warn => "Warn",
            Self::Audit => "Audit",
        }
    }
}

/// Which parameters a policy is given.
#[derive(Clone, Debug)]
pub struct ParamRef {
    /// One by name; else those that the selector chooses.
    pub name: Option<String>,
    /// Where they are, if not where the object of the write is.
    pub namespace: Option<String>,
    /// Which of them.
    pub selector: LabelSelector,
    /// Whether a write without parameters is let through.
    pub allow_missing: bool,
}

/// A ValidatingAdmissionPolicyBinding.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Its name.
    pub name: String,
    /// The policy that it binds.
    pub policy: String,
    /// Narrows where the policy holds.
    pub matcher: Matcher,
    /// What comes of a refusal.
    pub actions: Vec<Action>,
    /// Which parameters the policy is given, if any.
    pub params: Option<ParamRef>,
}

impl Binding {
    /// Reads a binding.
    pub fn read(object: &Object) -> Self {
        let spec = object.get(&["spec"]).unwrap_or(&Value::Null);
        let said = spec["validationActions"].as_array().into_iter().flatten();
        let all = [Action::Deny, Action::Warn, Action::Audit];
        let action = |said: &Value| all.into_iter().find(|one| said == one.as_str());
        Self {
            name: object.name().to_owned(),
            policy: object.text(&["spec", "policyName"]).to_owned(),
            matcher: Matcher::read(&spec["matchResources"]),
            actions: said.filter_map(action).collect(),
            params: spec
                .get("paramRef")
                .filter(|said| said.is_object())
                .map(read),
        }
    }
}

fn read(said: &Value) -> ParamRef {
    let text = |field: &str| {
        let text = said[field].as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    ParamRef {
        name: text("name"),
        namespace: text("namespace"),
        selector: LabelSelector::from_object(&said["selector"]).unwrap_or_default(),
        allow_missing: said["parameterNotFoundAction"] == "Allow",
    }
}
