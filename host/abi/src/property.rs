//! Properties: facts about a stream under dotted names, in the byte form that guests expect.
//!
//! The names are Envoy's attributes. What stands in a message is read from the message, so that it is true after changes; the rest is given
//! when a stream begins.

use crate::headers::{Headers, encode};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A value of a property.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text or bytes, as they are.
    Bytes(Vec<u8>),
    /// Eight bytes, little endian.
    Int(i64),
    /// One byte.
    Bool(bool),
    /// Nanoseconds since 1970.
    Time(SystemTime),
    /// Nanoseconds.
    Duration(Duration),
    /// Pairs, as maps of headers cross.
    Map(BTreeMap<String, String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl Value {
    /// As it crosses to a guest.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let nanoseconds = |time: Duration| {
            let whole = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
            whole.to_le_bytes().to_vec()
        };
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Int(number) => number.to_le_bytes().to_vec(),
            Self::Bool(flag) => vec![u8::from(*flag)],
            Self::Time(time) => nanoseconds(time.duration_since(UNIX_EPOCH).unwrap_or_default()),
            Self::Duration(time) => nanoseconds(*time),
            Self::Map(map) => {
                let pairs = map.iter();
                let pairs = pairs.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                encode(&pairs.collect::<Vec<_>>())
            }
        }
    }
}

/// What is known about a stream besides its messages: dotted names and values.
#[derive(Clone, Debug, Default)]
pub struct Properties(pub Vec<(&'static str, Value)>);

impl Properties {
    /// Adds one.
    pub fn add(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push((name, value.into()));
    }

    /// Adds one if there is one.
    pub fn add_some<V: Into<Value>>(&mut self, name: &'static str, value: Option<V>) {
        self.0.extend(value.map(|value| (name, value.into())));
    }

    /// The value of a name, or of one entry of a map.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        for (name, value) in &self.0 {
            if *name == path {
                return Some(value.encode());
            }
            let entry = path
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'));
            if let (Some(entry), Value::Map(map)) = (entry, value) {
                return map.get(entry).map(|text| text.as_bytes().to_vec());
            }
        }
        None
    }
}

/// A path as guests write it, with dots: the parts are separated by zeros.
#[must_use]
pub fn path(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches('\0').replace('\0', ".")
}

/// What a request's own headers say.
#[must_use]
pub fn of_request(headers: &Headers, name: &str) -> Option<Vec<u8>> {
    let pseudo = |name: &str| headers.pseudo(name).map(|value| value.as_bytes().to_vec());
    let plain = |name: &str| headers.map.get(name).map(|value| value.as_bytes().to_vec());
    match name {
        "method" => pseudo(":method"),
        "path" => pseudo(":path"),
        "scheme" => pseudo(":scheme"),
        "host" => pseudo(":authority"),
        "url_path" => pseudo(":path").map(|path| split(&path).0.to_vec()),
        "query" => pseudo(":path").map(|path| split(&path).1.to_vec()),
        "id" => plain("x-request-id"),
        "useragent" => plain("user-agent"),
        "referer" => plain("referer"),
        "headers" => Some(headers.encode()),
        _ => {
            let name = name.strip_prefix("headers.")?;
            headers
                .get(name.as_bytes())
                .map(|value| value.as_bytes().to_vec())
        }
    }
}

/// What a response's own headers say.
#[must_use]
pub fn of_response(headers: &Headers, name: &str) -> Option<Vec<u8>> {
    match name {
        "code" => {
            let status = headers.pseudo(":status")?.to_str().ok()?;
            Some(Value::Int(status.parse().ok()?).encode())
        }
        "headers" => Some(headers.encode()),
        "grpc_status" => {
            let status = headers.map.get("grpc-status")?.to_str().ok()?;
            Some(Value::Int(status.parse().ok()?).encode())
        }
        _ => {
            let name = name.strip_prefix("headers.")?;
            headers
                .get(name.as_bytes())
                .map(|value| value.as_bytes().to_vec())
        }
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().position(|byte| *byte == b'?') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn names_lead_into_maps_and_messages() {
        let mut properties = Properties::default();
        properties.add("source.port", Value::Int(7));
        let labels = BTreeMap::from([("app.kubernetes.io/name".to_owned(), "web".to_owned())]);
        properties.add("source.labels", Value::Map(labels));
        assert_eq!(
            properties.get("source.port"),
            Some(vec![7, 0, 0, 0, 0, 0, 0, 0])
        );
        let label = path(b"source\0labels\0app.kubernetes.io/name");
        assert_eq!(properties.get(&label).as_deref(), Some(&b"web"[..]));
        assert_eq!(properties.get("source"), None);
        let mut headers = Headers::default();
        headers
            .pseudo
            .push((":path", HeaderValue::from_static("/a?b=c")));
        let read = |name| {
            of_request(&headers, name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        assert_eq!(read("url_path").as_deref(), Some("/a"));
        assert_eq!(read("query").as_deref(), Some("b=c"));
        assert_eq!(read("headers.:path").as_deref(), Some("/a?b=c"));
        assert_eq!(read("nothing"), None);
    }
}
