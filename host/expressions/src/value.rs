//! Types of expressions and the values that flow through them at run time: borrowed wherever the call owns the data.

mod error;
mod texts;

use std::net::IpAddr;

use ipnet::IpNet;

pub use error::EvaluationError;
pub use texts::Texts;

/// The type of an expression or attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `bool`
    Bool,
    /// `int`, 64 bits
    Int,
    /// `double`
    Double,
    /// `string`
    Text,
    /// `duration`
    Span,
    /// `timestamp`
    Time,
    /// An IP address.
    Ip,
    /// A range of IP addresses.
    Net,
    /// `list<T>`
    List(Box<Type>),
    /// `map<string, T>`
    Map(Box<Type>),
    /// The element type of `[]` and `{}`: goes with everything.
    Any,
}

impl Type {
    /// `map<string, string>`
    pub fn texts() -> Type {
        Type::Map(Box::new(Type::Text))
    }

    /// Equal, or equal where `Any` stands for whatever the other says.
    pub fn agrees(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Any, _) | (_, Type::Any) => true,
            (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) => a.agrees(b),
            (a, b) => a == b,
        }
    }

    /// The more definite of two types that agree.
    pub fn merge(self, other: Type) -> Type {
        match (self, other) {
            (Type::Any, other) => other,
            (Type::List(a), Type::List(b)) => Type::List(Box::new(a.merge(*b))),
            (Type::Map(a), Type::Map(b)) => Type::Map(Box::new(a.merge(*b))),
            (own, _) => own,
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Double => f.write_str("double"),
            Type::Text => f.write_str("string"),
            Type::Span => f.write_str("duration"),
            Type::Time => f.write_str("timestamp"),
            Type::Ip => f.write_str("ip"),
            Type::Net => f.write_str("cidr"),
            Type::List(of) => write!(f, "list<{of}>"),
            Type::Map(of) => write!(f, "map<string, {of}>"),
            Type::Any => f.write_str("any"),
        }
    }
}

/// A value at run time. Spans and times are nanoseconds, times since 1970.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// None for this call.
    Absent,
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A real number.
    Double(f64),
    /// A text of the call or of the program.
    Text(&'a str),
    /// A text that was made.
    Owned(Box<str>),
    /// A length of time.
    Span(i64),
    /// A moment.
    Time(i64),
    /// An address.
    Ip(IpAddr),
    /// A range of addresses.
    Net(IpNet),
    /// A list of the program.
    List(&'a [Value<'static>]),
    /// A list that was made.
    Items(Vec<Value<'a>>),
    /// Texts by key.
    Map(Texts<'a>),
    /// Values by key.
    Entries(Vec<(Box<str>, Value<'a>)>),
}

type Evaluated<T> = Result<T, EvaluationError>;

impl<'a> Value<'a> {
    /// The value itself for constants, which live as long as the program.
    pub fn of_constant(constant: &'a Value<'static>) -> Value<'a> {
        match constant {
            Value::Owned(text) => Value::Text(text),
            Value::Items(items) => Value::List(items),
            other => other.clone(),
        }
    }

    /// True of what there is none of.
    pub fn is_absent(&self) -> bool {
        matches!(self, Value::Absent)
    }

    /// The text.
    ///
    /// # Errors
    /// It is something else, or absent.
    pub fn text(&self) -> Evaluated<&str> {
        match self {
            Value::Text(text) => Ok(text),
            Value::Owned(text) => Ok(text),
            _ => Err(EvaluationError::Absent),
        }
    }

    /// The truth.
    ///
    /// # Errors
    /// It is something else, or absent.
    pub fn bool(&self) -> Evaluated<bool> {
        match self {
            Value::Bool(value) => Ok(*value),
            _ => Err(EvaluationError::Absent),
        }
    }

    /// Ints, spans and times: all that is counted in whole numbers.
    pub fn whole(&self) -> Evaluated<i64> {
        match self {
            Value::Int(value) | Value::Span(value) | Value::Time(value) => Ok(*value),
            _ => Err(EvaluationError::Absent),
        }
    }

    /// The real number.
    ///
    /// # Errors
    /// It is something else, or absent.
    pub fn double(&self) -> Evaluated<f64> {
        match self {
            Value::Double(value) => Ok(*value),
            _ => Err(EvaluationError::Absent),
        }
    }

    /// The address.
    ///
    /// # Errors
    /// It is something else, or absent.
    pub fn ip(&self) -> Evaluated<IpAddr> {
        match self {
            Value::Ip(value) => Ok(*value),
            _ => Err(EvaluationError::Absent),
        }
    }

    /// The range of addresses.
    ///
    /// # Errors
    /// It is something else, or absent.
    pub fn net(&self) -> Evaluated<IpNet> {
        match self {
            Value::Net(value) => Ok(*value),
            _ => Err(EvaluationError::Absent),
        }
    }

    /// The elements of a list.
    pub fn items<'b>(&'b self) -> Evaluated<&'b [Value<'a>]>
    where
        'a: 'b,
    {
        match self {
            Value::List(items) => Ok(items),
            Value::Items(items) => Ok(items),
            _ => Err(EvaluationError::Absent),
        }
    }

    /// The value under a key of a map.
    pub fn entry(&self, key: &str) -> Evaluated<Value<'a>> {
        match self {
            Value::Map(texts) => Ok(texts.get(key)),
            Value::Entries(entries) => Ok(entries
                .iter()
                .find(|(name, _)| &**name == key)
                .map_or(Value::Absent, |(_, value)| value.clone())),
            _ => Err(EvaluationError::Absent),
        }
    }

    /// Characters of a text, elements of a list or map.
    pub fn size(&self) -> Evaluated<usize> {
        match self {
            Value::Map(texts) => Ok(texts.len()),
            Value::Entries(entries) => Ok(entries.len()),
            Value::List(_) | Value::Items(_) => Ok(self.items()?.len()),
            _ => Ok(self.text()?.chars().count()),
        }
    }

    /// Equality of two values of one type; an absent value equals nothing.
    pub fn same(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Double(a), Value::Double(b)) => a == b,
            (Value::Ip(a), Value::Ip(b)) => a == b,
            (Value::Net(a), Value::Net(b)) => a == b,
            (Value::Int(a), Value::Int(b))
            | (Value::Span(a), Value::Span(b))
            | (Value::Time(a), Value::Time(b)) => a == b,
            (Value::Map(_) | Value::Entries(_), _) => self.same_entries(other),
            _ => match (self.text(), other.text()) {
                (Ok(a), Ok(b)) => a == b,
                _ => match (self.items(), other.items()) {
                    (Ok(a), Ok(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
                    _ => false,
                },
            },
        }
    }

    fn same_entries(&self, other: &Value<'_>) -> bool {
        let (Ok(own), Ok(theirs)) = (self.size(), other.size()) else {
            return false;
        };
        own == theirs
            && self.keys().iter().all(|key| {
                let key = key.text().unwrap_or_default();
                match (self.entry(key), other.entry(key)) {
                    (Ok(a), Ok(b)) => a.same(&b),
                    _ => false,
                }
            })
    }

    /// The keys of a map, for loops.
    pub fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Value::Map(texts) => texts.keys(),
            Value::Entries(entries) => entries
                .iter()
                .map(|(key, _)| Value::Owned(key.clone()))
                .collect(),
            _ => Vec::new(),
        }
    }
}
