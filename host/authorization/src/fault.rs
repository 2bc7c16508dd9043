//! What is wrong with an object.

/// What cannot be read of an object, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path of the field.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Fault {
    /// A fault at a field.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let (field, detail) = (field.into(), detail.into());
        Self { field, detail }
    }
}
