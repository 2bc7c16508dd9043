//! Headers, and what operations make of them, as texts.

use http::HeaderValue;
use osier_policy::HeaderOperation;

/// Headers as pairs.
pub fn pairs<'a, K: ToString + 'a>(
    headers: impl IntoIterator<Item = (K, &'a HeaderValue)>,
) -> Vec<(String, String)> {
    let pair = |(name, value): (K, &HeaderValue)| (name.to_string(), text(value));
    headers.into_iter().map(pair).collect()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// The headers that operations leave behind.
pub fn after(operations: &[HeaderOperation]) -> Vec<(String, String)> {
    let mut left: Vec<(String, String)> = Vec::new();
    for operation in operations {
        match operation {
            HeaderOperation::Set(name, value) => {
                left.retain(|(known, _)| known != name.as_str());
                left.push((name.to_string(), text(value)));
            }
            HeaderOperation::Append(name, value) => left.push((name.to_string(), text(value))),
            HeaderOperation::Remove(name) => left.retain(|(known, _)| known != name.as_str()),
        }
    }
    left
}
