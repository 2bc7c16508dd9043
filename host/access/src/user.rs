//! Who calls.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Everybody who proved to be somebody.
const AUTHENTICATED: &str = "system:authenticated";

/// Who proved nothing.
const ANONYMOUS: &str = "system:anonymous";

/// A caller: what a client certificate's subject or a token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The common name.
    pub name: String,
    /// The organizations.
    pub groups: Vec<String>,
    /// What tells this user from another one of the same name, where that is known.
    pub uid: String,
    /// What else is known of the user.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A caller by name and groups.
    pub fn new(
        name: impl Into<String>,
        groups: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            name: name.into(),
            groups: groups.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Somebody who proved nothing.
    pub fn anonymous() -> Self {
        Self::new(ANONYMOUS, ["system:unauthenticated"])
    }

    /// The caller as everybody knows it: who proved to be somebody is in a group for that.
    #[must_use]
    pub fn complete(mut self) -> Self {
        if self.name != ANONYMOUS && !self.is_in(AUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }

    /// Whether the caller is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }

    /// An `authentication.k8s.io/v1` UserInfo.
    pub fn to_value(&self) -> Value {
        let mut value = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            value["uid"] = json!(self.uid);
        }
        if !self.extra.is_empty() {
            value["extra"] = json!(self.extra);
        }
        value
    }
}
