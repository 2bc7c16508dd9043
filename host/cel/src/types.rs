//! [`Type`]: what values of a place can be, as a schema says it, with how large they become.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What values can be.
#[derive(Clone, Debug)]
pub enum Type {
    /// Anything: it is known when the rule runs.
    Dyn,
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// A text of at most so many letters.
    Text(u64),
    /// A length of time.
    Duration,
    /// A moment.
    Time,
    /// At most so many of one type.
    List(Box<Type>, u64),
    /// At most so many of one type, each with a name.
    Map(Box<Type>, u64),
    /// Fields with a type each.
    Object(Arc<BTreeMap<String, Type>>),
    /// Perhaps a value.
    Optional(Box<Type>),
    /// What only some functions make and take, such as `kubernetes.Quantity`.
    Opaque(&'static str),
}

impl Type {
    /// Whether a value could be of both.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Null, _) | (_, Self::Dyn | Self::Null) => true,
            (Self::List(a, _), Self::List(b, _)) | (Self::Optional(a), Self::Optional(b)) => {
                a.agrees(b)
            }
            (Self::Map(a, _), Self::Map(b, _)) => a.agrees(b),
            (Self::Opaque(a), Self::Opaque(b)) => a == b,
            // A literal in braces is a map, whatever it is compared with.
            (Self::Map(..), Self::Object(_)) | (Self::Object(_), Self::Map(..)) => true,
            // Texts stand for the times that they are compared with.
            (Self::Text(_), Self::Duration | Self::Time)
            | (Self::Duration | Self::Time, Self::Text(_)) => true,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// The type of values that are of one or of the other.
    pub(crate) fn or(self, other: &Self) -> Self {
        match (&self, other) {
            (Self::Null, other) => other.clone(),
            (Self::Text(a), Self::Text(b)) => Self::Text(*a.max(b)),
            _ if self.agrees(other) => self,
            _ => Self::Dyn,
        }
    }

    /// How many elements, entries or letters there are at most.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Text(size) | Self::List(_, size) | Self::Map(_, size) => *size,
            _ => 1,
        }
    }

    /// About what there is to look at in a comparison, in tens.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::Text(size) => size / 10,
            Self::List(each, size) | Self::Map(each, size) => {
                size.saturating_mul(each.weight().max(1)) / 10
            }
            _ => 0,
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Dyn | Self::Int | Self::Double)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::Text(_) => f.write_str("string"),
            Self::Duration => f.write_str("duration"),
            Self::Time => f.write_str("timestamp"),
            Self::List(each, _) => write!(f, "list({each})"),
            Self::Map(each, _) => write!(f, "map(string, {each})"),
            Self::Object(_) => f.write_str("object"),
            Self::Optional(inner) => write!(f, "optional({inner})"),
            Self::Opaque(name) => f.write_str(name),
        }
    }
}
