//! What can be wrong with an object: all faults at once, each with its field.

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Dotted path of the field, such as `spec.actions[0].fields.value`.
    pub field: String,
    /// What is wrong and what to do.
    pub detail: String,
}

impl Fault {
    /// What is wrong with the field at a dotted path.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            detail: detail.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)
    }
}
