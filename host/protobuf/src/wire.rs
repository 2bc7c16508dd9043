//! The wire format: bytes to JSON by a table of fields.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use osier_process::clock;
use serde_json::{Map, Value, json};

use crate::messages::{Field, Kind, Shape};
use crate::workloads;

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it does not begin with the magic bytes of Kubernetes")]
    NoMagic,
    #[error("it ends in the middle of a field")]
    Truncated,
    #[error("field {0} is of another type than expected")]
    Type(u64),
    #[error("field {0} is not known here; send the object as application/json")]
    Unknown(u64),
    #[error("{0} is not UTF-8 text")]
    Text(&'static str),
    #[error("{0} is not JSON")]
    Json(&'static str),
}

/// The content of a field.
pub(super) enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Content<'a> {
    pub(super) fn bytes(&self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(Malformed::Type(0)),
        }
    }

    fn number(&self) -> Result<u64, Malformed> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Bytes(_) => Err(Malformed::Type(0)),
        }
    }
}

/// Takes a message apart.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The number and content of the next field.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Content<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        let content = match tag & 7 {
            0 => Content::Number(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Truncated)?;
                let (bytes, rest) = self
                    .0
                    .split_at_checked(length)
                    .ok_or(Malformed::Truncated)?;
                self.0 = rest;
                Content::Bytes(bytes)
            }
            _ => return Err(Malformed::Type(number)),
        };
        Ok(Some((number, content)))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed::Truncated)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Truncated)
    }
}

/// A message as a JSON object. Empty texts and zeros are left out: Go writes them for fields that are not set.
pub(super) fn message(shape: Shape, bytes: &[u8]) -> Result<Value, Malformed> {
    let mut object = Map::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, content)) = reader.next()? {
        let field = shape
            .iter()
            .find(|field| field.number == number)
            .ok_or(Malformed::Unknown(number))?;
        let at_field = |error| {
            if matches!(error, Malformed::Type(_)) {
                Malformed::Type(number)
            } else {
                error
            }
        };
        match field.kind {
            Kind::TextMap | Kind::BytesMap | Kind::QuantityMap | Kind::ListMap => {
                let entry = entry(field.kind, content.bytes()?).map_err(at_field)?;
                if let Value::Object(map) = object.entry(field.name).or_insert_with(|| json!({})) {
                    map.insert(entry.0, entry.1);
                }
            }
            Kind::Inside(name) => {
                let inner = named(name, number, content.bytes()?)?;
                if let Value::Object(inner) = inner {
                    object.extend(inner);
                }
            }
            kind => {
                let value = single(kind, field.name, &content).map_err(at_field)?;
                if field.repeated {
                    if let Value::Array(list) =
                        object.entry(field.name).or_insert_with(|| json!([]))
                    {
                        list.push(value);
                    }
                } else if is_set(kind) || !unset(&value) {
                    object.insert(field.name.to_owned(), value);
                }
            }
        }
    }
    Ok(Value::Object(object))
}

/// A message of the table of workloads; `number` is the field that holds it.
fn named(name: &'static str, number: u64, bytes: &[u8]) -> Result<Value, Malformed> {
    let shape = workloads::message(name).ok_or(Malformed::Unknown(number))?;
    message(shape, bytes)
}

/// What is written is meant, even if it is zero.
fn is_set(kind: Kind) -> bool {
    matches!(kind, Kind::SetNumber | Kind::SetIntOrString)
}

fn unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        _ => false,
    }
}

fn single(kind: Kind, name: &'static str, content: &Content<'_>) -> Result<Value, Malformed> {
    Ok(match kind {
        Kind::Text => text(name, content.bytes()?)?.into(),
        Kind::Number | Kind::SetNumber => content.number()?.cast_signed().into(),
        Kind::Bool => (content.number()? != 0).into(),
        Kind::Flag => {
            if content.number()? == 0 {
                Value::Null
            } else {
                Value::Bool(true)
            }
        }
        Kind::Bytes => STANDARD.encode(content.bytes()?).into(),
        Kind::Message(shape) => message(shape, content.bytes()?)?,
        Kind::Named(message) | Kind::Inside(message) => named(message, 0, content.bytes()?)?,
        Kind::Quantity => quantity(content.bytes()?)?,
        Kind::Time => time(content.bytes()?, clock::seconds)?,
        Kind::MicroTime => time(content.bytes()?, clock::micros)?,
        Kind::Raw => raw(name, content.bytes()?)?,
        Kind::IntOrString | Kind::SetIntOrString => int_or_string(content.bytes()?)?,
        Kind::ListMap => message(ITEMS, content.bytes()?)?["items"].take(),
        Kind::Ignored | Kind::TextMap | Kind::BytesMap | Kind::QuantityMap => Value::Null,
    })
}

fn text(name: &'static str, bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed::Text(name))
}

/// One pair of a map: key and value are fields 1 and 2.
fn entry(kind: Kind, bytes: &[u8]) -> Result<(String, Value), Malformed> {
    let content = match kind {
        Kind::BytesMap => Kind::Bytes,
        Kind::QuantityMap => Kind::Quantity,
        Kind::ListMap => Kind::ListMap,
        _ => Kind::Text,
    };
    let (mut key, mut value) = (String::new(), json!(""));
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => key = text("a key of a map", field.bytes()?)?,
            2 => value = single(content, "a value of a map", &field)?,
            other => return Err(Malformed::Unknown(other)),
        }
    }
    Ok((key, value))
}

/// An amount, as text.
fn quantity(bytes: &[u8]) -> Result<Value, Malformed> {
    const SHAPE: Shape = &[super::messages::text(1, "text")];
    Ok(message(SHAPE, bytes)?["text"].take())
}

/// The only field of a value that is a list.
const ITEMS: Shape = &[Field {
    number: 1,
    name: "items",
    kind: Kind::Text,
    repeated: true,
}];

/// JSON within a message.
fn raw(name: &'static str, bytes: &[u8]) -> Result<Value, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut value = Value::Null;
    while let Some((_, field)) = reader.next()? {
        value = serde_json::from_slice(field.bytes()?).map_err(|_| Malformed::Json(name))?;
    }
    Ok(value)
}

/// Seconds since 1970 and billionths of one; absent means no time at all.
fn time(bytes: &[u8], written: fn(Timestamp) -> String) -> Result<Value, Malformed> {
    let mut reader = Reader::new(bytes);
    let (mut seconds, mut nanos) = (None, 0);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => seconds = Some(field.number()?.cast_signed()),
            _ => nanos = i32::try_from(field.number()?).unwrap_or(0),
        }
    }
    let time = seconds.and_then(|seconds| Timestamp::new(seconds, nanos).ok());
    Ok(time.map_or(Value::Null, |time| json!(written(time))))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Malformed> {
    const SHAPE: Shape = &[
        super::messages::number(1, "type"),
        super::messages::number(2, "int"),
        super::messages::text(3, "text"),
    ];
    let parts = message(SHAPE, bytes)?;
    Ok(if parts["type"] == 1 {
        parts["text"].clone()
    } else {
        parts["int"].as_i64().unwrap_or(0).into()
    })
}
