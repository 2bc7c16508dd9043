//! Who calls, and whether they may.

/// An authenticated caller: what a client certificate's subject says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The common name.
    pub name: String,
    /// The organizations.
    pub groups: Vec<String>,
}

/// Members of these groups may do everything; nobody else may do anything but ask which API this is.
const TRUSTED: [&str; 3] = ["system:masters", "system:nodes", "osier:components"];

impl User {
    /// A caller by name and groups.
    pub fn new(
        name: impl Into<String>,
        groups: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            name: name.into(),
            groups: groups.into_iter().map(Into::into).collect(),
        }
    }

    /// Whether the caller is in a group that may do everything.
    pub(crate) fn trusted(&self) -> bool {
        self.groups
            .iter()
            .any(|group| TRUSTED.contains(&group.as_str()))
    }
}
