//! Stored bytes as the caller sees them, without reading them into values: what is shown of an object differs from what is stored in
//! its `metadata.resourceVersion` only. Lists of a hundred thousand objects, and every first event of a watch, are written so.

/// Appends the object in `bytes` with its revision, if it is stored in the version `api_version`; otherwise nothing.
///
/// The bytes are those of [`super::encode`]: no spaces, keys in their order. The result is what reading and writing it would make.
pub(crate) fn with_revision(
    bytes: &[u8],
    (api_version, revision): (&str, u64),
    into: &mut Vec<u8>,
) -> Option<()> {
    let text = std::str::from_utf8(bytes).ok()?;
    let place = place(text, api_version)?;
    let (before, after) = text.split_at(place);
    into.reserve(text.len() + 48);
    into.extend_from_slice(before.as_bytes());
    let first = before.ends_with('{');
    let last = after.starts_with('}');
    let field = format!("\"resourceVersion\":\"{revision}\"");
    if last && !first {
        into.push(b',');
    }
    into.extend_from_slice(field.as_bytes());
    if !last {
        into.push(b',');
    }
    into.extend_from_slice(after.as_bytes());
    Some(())
}

/// Where in an object of this version the field belongs.
fn place(text: &str, api_version: &str) -> Option<usize> {
    let mut at = text.strip_prefix('{').map(|_| 1)?;
    let mut versioned = false;
    loop {
        let (key, value) = entry(text, at)?;
        match key {
            "apiVersion" => {
                let said = text[value..].strip_prefix('"')?;
                said.strip_prefix(api_version)?.strip_prefix('"')?;
                versioned = true;
            }
            "metadata" => return within(text, value).filter(|_| versioned),
            _ => {}
        }
        at = skip(text, value)?;
        at = text[at..].strip_prefix(',').map(|_| at + 1)?;
    }
}

/// Where among the fields of the metadata it belongs.
fn within(text: &str, metadata: usize) -> Option<usize> {
    let mut at = text[metadata..].strip_prefix('{').map(|_| metadata + 1)?;
    if text[at..].starts_with('}') {
        return Some(at);
    }
    loop {
        let (key, value) = entry(text, at)?;
        if key > "resourceVersion" {
            return Some(at);
        }
        let end = skip(text, value)?;
        match text.as_bytes().get(end)? {
            b',' => at = end + 1,
            _ => return Some(end),
        }
    }
}

/// The key at a place, and where its value begins.
fn entry(text: &str, at: usize) -> Option<(&str, usize)> {
    let end = skip_text(text, at)?;
    let value = text[end..].strip_prefix(':').map(|_| end + 1)?;
    Some((&text[at + 1..end - 1], value))
}

/// Where the value at a place ends.
fn skip(text: &str, at: usize) -> Option<usize> {
    match text.as_bytes().get(at)? {
        b'"' => skip_text(text, at),
        b'{' | b'[' => skip_nested(text, at),
        _ => text[at..].find([',', '}', ']']).map(|end| at + end),
    }
}

fn skip_nested(text: &str, mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match text.as_bytes().get(at)? {
            b'"' => {
                at = skip_text(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Where the text ends that begins with a quote at a place.
fn skip_text(text: &str, at: usize) -> Option<usize> {
    let mut from = text[at..].strip_prefix('"').map(|_| at + 1)?;
    loop {
        let quote = from + text[from..].find('"')?;
        let slashes = text.as_bytes()[..quote].iter().rev();
        let escaped = slashes.take_while(|byte| **byte == b'\\').count() % 2 == 1;
        from = quote + 1;
        if !escaped {
            return Some(from);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::{Stored, encode};
    use super::*;

    fn shown(bytes: &[u8], version: &str) -> Option<Vec<u8>> {
        let mut into = Vec::new();
        with_revision(bytes, (version, 7), &mut into).map(|()| into)
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\],:é\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-zA-Z\"\\\\]{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn bytes_are_shown_as_if_they_had_been_read(spec in value(), early in value(), labels in value(), uid in any::<bool>()) {
            let mut object = json!({"apiVersion": "v1", "kind": "Thing", "spec": spec, "Early": early, "data": labels,
                "metadata": {"name": "a", "labels": labels, "annotations": {"metadata": "\\\""}}});
            if uid {
                object["metadata"]["uid"] = json!("u");
            }
            let stored = encode(&osier_api::Object::from_value(object).unwrap()).unwrap();
            let read = serde_json::to_vec(&Stored { bytes: &stored, revision: 7 }.read().unwrap()).unwrap();
            let shown = shown(&stored, "v1").unwrap();
            prop_assert_eq!(String::from_utf8(shown).unwrap(), String::from_utf8(read).unwrap());
        }
    }

    #[test]
    fn another_version_is_not_shown_so_and_odd_bytes_are_left_to_who_reads_them() {
        let stored = br#"{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"a"}}"#;
        assert!(shown(stored, "batch/v1").is_some());
        assert!(shown(stored, "batch/v1beta1").is_none());
        assert!(shown(stored, "batch/v").is_none());
        let odd: [&[u8]; 6] = [b"", b"{", b"[]", b"{}", b"{\"apiVersion\":\"v1\"}", b"\xff"];
        for bytes in odd {
            assert!(shown(bytes, "v1").is_none());
        }
        let bare = shown(br#"{"apiVersion":"v1","metadata":{}}"#, "v1").unwrap();
        assert_eq!(
            bare,
            br#"{"apiVersion":"v1","metadata":{"resourceVersion":"7"}}"#
        );
    }
}
