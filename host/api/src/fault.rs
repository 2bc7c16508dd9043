//! [`Fault`]: one thing that is wrong in an object, in the words of Kubernetes.

use std::fmt;

use serde_json::Value;

/// What kind of wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// A value is needed and absent.
    Required,
    /// The value breaks a rule.
    Invalid,
    /// The value is not one of those allowed.
    NotSupported,
    /// The field is not part of the schema.
    Unknown,
    /// The value occurs twice where it must be unique.
    Duplicate,
    /// The field may not be set here.
    Forbidden,
    /// The field may not change after creation.
    Immutable,
    /// The value names something that is not there.
    NotFound,
    /// The value is too long.
    TooLong,
    /// The list has too many entries.
    TooMany,
    /// The value has another JSON type than the schema says.
    WrongType,
}

/// One thing that is wrong in an object. `Display` gives Kubernetes' words.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Dotted path, list indices in brackets: `spec.containers[0].name`.
    pub field: String,
    /// What kind of wrong.
    pub kind: FaultKind,
    /// What is wrong and, where a person can act, what to do.
    pub detail: String,
    /// The offending value.
    pub value: Option<Value>,
}

impl Fault {
    /// A fault without a value.
    pub fn new(kind: FaultKind, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            kind,
            detail: detail.into(),
            value: None,
        }
    }

    /// Adds the offending value.
    pub fn with(mut self, value: impl Into<Value>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// `Required value`.
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Required, field, detail)
    }

    /// `Invalid value`.
    pub fn invalid(
        field: impl Into<String>,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(FaultKind::Invalid, field, detail).with(value)
    }

    /// `Unsupported value`, listing those supported.
    pub fn not_supported(
        field: impl Into<String>,
        value: impl Into<Value>,
        supported: &[&str],
    ) -> Self {
        let quoted: Vec<String> = supported.iter().map(|item| format!("{item:?}")).collect();
        let detail = format!("supported values: {}", quoted.join(", "));
        Self::new(FaultKind::NotSupported, field, detail).with(value)
    }

    /// `Duplicate value`.
    pub fn duplicate(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(FaultKind::Duplicate, field, "").with(value)
    }

    /// `Forbidden`.
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Forbidden, field, detail)
    }

    /// `Not found`.
    pub fn not_found(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(FaultKind::NotFound, field, "").with(value)
    }

    /// `field is immutable`.
    pub fn immutable(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(FaultKind::Immutable, field, "field is immutable").with(value)
    }

    /// `Too long`, in bytes.
    pub fn too_long(field: impl Into<String>, most: usize) -> Self {
        Self::new(
            FaultKind::TooLong,
            field,
            format!("may not be more than {most} bytes"),
        )
    }

    /// The `reason` of a Status cause.
    pub fn reason(&self) -> &'static str {
        match self.kind {
            FaultKind::Required => "FieldValueRequired",
            FaultKind::Invalid | FaultKind::Immutable | FaultKind::Unknown => "FieldValueInvalid",
            FaultKind::NotSupported => "FieldValueNotSupported",
            FaultKind::Duplicate => "FieldValueDuplicate",
            FaultKind::Forbidden => "FieldValueForbidden",
            FaultKind::NotFound => "FieldValueNotFound",
            FaultKind::TooLong => "FieldValueTooLong",
            FaultKind::TooMany => "FieldValueTooMany",
            FaultKind::WrongType => "FieldValueTypeInvalid",
        }
    }

    /// The message of a Status cause: as `Display`, without the field.
    pub fn message(&self) -> String {
        let value = self.value.as_ref().unwrap_or(&Value::Null);
        let head = match self.kind {
            FaultKind::Required => "Required value".to_owned(),
            FaultKind::Forbidden => "Forbidden".to_owned(),
            FaultKind::TooLong => "Too long".to_owned(),
            FaultKind::Unknown => "Unknown field".to_owned(),
            FaultKind::TooMany => format!("Too many: {value}"),
            FaultKind::NotSupported => format!("Unsupported value: {value}"),
            FaultKind::Duplicate => format!("Duplicate value: {value}"),
            FaultKind::NotFound => format!("Not found: {value}"),
            FaultKind::Invalid | FaultKind::Immutable | FaultKind::WrongType => {
                format!("Invalid value: {value}")
            }
        };
        if self.detail.is_empty() {
            head
        } else {
            format!("{head}: {}", self.detail)
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_as_kubernetes_does() {
        let cases = [
            (
                Fault::required("spec.containers", ""),
                "spec.containers: Required value",
            ),
            (
                Fault::invalid("metadata.name", "A_", "bad"),
                "metadata.name: Invalid value: \"A_\": bad",
            ),
            (
                Fault::duplicate("x[1].name", "a"),
                "x[1].name: Duplicate value: \"a\"",
            ),
            (
                Fault::not_supported("p", "ICMP", &["TCP", "UDP"]),
                "p: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\"",
            ),
            (
                Fault::immutable("spec.clusterIP", "a"),
                "spec.clusterIP: Invalid value: \"a\": field is immutable",
            ),
            (
                Fault::too_long("l", 63),
                "l: Too long: may not be more than 63 bytes",
            ),
        ];
        for (fault, words) in cases {
            assert_eq!(fault.to_string(), words);
        }
    }
}
