//! A string map borrowed from wherever the call keeps it: headers, labels, a query string.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::HeaderMap;

use super::Value;

/// A borrowed map of texts. Keys of headers are lower-case; repeated headers are joined by commas, as in HTTP.
#[derive(Clone, Copy, Debug, Default)]
pub enum Texts<'a> {
    /// No entries.
    #[default]
    Empty,
    /// HTTP headers or trailers.
    Headers(&'a HeaderMap),
    /// Labels.
    Tree(&'a BTreeMap<String, String>),
    /// Any list of pairs with unique keys.
    Pairs(&'a [(String, String)]),
    /// The query string of a URL, without `?`; decoded on reading, the first of equal keys counts.
    Query(&'a str),
}

impl<'a> Texts<'a> {
    /// The text under a key, as a value; absent if there is none.
    pub fn get(&self, key: &str) -> Value<'a> {
        match self.find(key) {
            None => Value::Absent,
            Some(Cow::Borrowed(text)) => Value::Text(text),
            Some(Cow::Owned(text)) => Value::Owned(text.into()),
        }
    }

    /// The value under a key.
    pub fn find(&self, key: &str) -> Option<Cow<'a, str>> {
        match self {
            Texts::Empty => None,
            Texts::Headers(headers) => header(headers, key),
            Texts::Tree(tree) => tree.get(key).map(|text| text.as_str().into()),
            Texts::Pairs(pairs) => pairs
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, text)| text.as_str().into()),
            Texts::Query(query) => parameters(query)
                .find(|(name, _)| name == key)
                .map(|(_, text)| text),
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        match self {
            Texts::Empty => 0,
            Texts::Headers(headers) => headers.keys_len(),
            Texts::Tree(tree) => tree.len(),
            Texts::Pairs(pairs) => pairs.len(),
            Texts::Query(_) => self.keys().len(),
        }
    }

    /// True if there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `see` for each key and value, keys once.
    pub fn each(&self, see: &mut dyn FnMut(&str, &str)) {
        match self {
            Texts::Empty => {}
            Texts::Headers(headers) => {
                for name in headers.keys() {
                    if let Some(text) = header(headers, name.as_str()) {
                        see(name.as_str(), &text);
                    }
                }
            }
            Texts::Tree(tree) => tree.iter().for_each(|(name, text)| see(name, text)),
            Texts::Pairs(pairs) => pairs.iter().for_each(|(name, text)| see(name, text)),
            Texts::Query(query) => {
                for key in self.keys() {
                    let key = key.text().unwrap_or_default();
                    if let Some((_, text)) = parameters(query).find(|(name, _)| name == key) {
                        see(key, &text);
                    }
                }
            }
        }
    }

    /// All keys, as values.
    pub fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Texts::Empty => Vec::new(),
            Texts::Headers(headers) => {
                let headers: &'a HeaderMap = headers;
                headers
                    .keys()
                    .map(|key| Value::Text(key.as_str()))
                    .collect()
            }
            Texts::Tree(tree) => tree.keys().map(|key| Value::Text(key)).collect(),
            Texts::Pairs(pairs) => pairs.iter().map(|(key, _)| Value::Text(key)).collect(),
            Texts::Query(query) => {
                let mut keys: Vec<Value<'a>> = Vec::new();
                for (name, _) in parameters(query) {
                    if !keys.iter().any(|key| key.text() == Ok(&name)) {
                        keys.push(Value::Owned(name.into_owned().into()));
                    }
                }
                keys
            }
        }
    }
}

/// One header; repeated values are joined, so that a second value cannot hide from a policy.
fn header<'a>(headers: &'a HeaderMap, key: &str) -> Option<Cow<'a, str>> {
    let mut values = headers.get_all(key).iter();
    let first = String::from_utf8_lossy(values.next()?.as_bytes());
    let Some(second) = values.next() else {
        return Some(first);
    };
    let mut joined = first.into_owned();
    for value in std::iter::once(second).chain(values) {
        joined.push(',');
        joined.push_str(&String::from_utf8_lossy(value.as_bytes()));
    }
    Some(joined.into())
}

fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, text) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(text))
        })
}

/// Percent and plus decoding; a malformed escape stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return text.into();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3);
        let escape = pair
            .filter(|_| bytes[at] == b'%')
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match escape {
            Some(byte) => {
                out.push(byte);
                at += 2;
            }
            None if bytes[at] == b'+' => out.push(b' '),
            None => out.push(bytes[at]),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_headers_are_joined_and_missing_ones_are_none() {
        let mut headers = HeaderMap::new();
        headers.append("x-role", http::HeaderValue::from_static("user"));
        headers.append("x-role", http::HeaderValue::from_static("admin"));
        let texts = Texts::Headers(&headers);
        assert_eq!(texts.find("x-role").as_deref(), Some("user,admin"));
        assert_eq!(texts.find("x-none"), None);
        assert_eq!(texts.len(), 1);
    }

    #[test]
    fn query_parameters_are_decoded_once() {
        let texts = Texts::Query("a=1%202&b=x+y&a=3&c&d=%zz&e=%2525");
        let all: Vec<_> = ["a", "b", "c", "d", "e"]
            .iter()
            .map(|key| texts.find(key).map(Cow::into_owned))
            .collect();
        let expected = ["1 2", "x y", "", "%zz", "%25"].map(|text| Some(text.to_owned()));
        assert_eq!(all, expected);
        assert_eq!(texts.len(), 5);
    }
}
