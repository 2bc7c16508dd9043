//! `headers` of a route or of one destination.

use crate::finding::FindingKind;
use crate::headers::{HeaderEdits, HeaderOperation};
use crate::read::Fields;

/// `headers: {request: {set, add, remove}, response: …}`.
pub(super) fn edits(fields: &mut Fields<'_>) -> HeaderEdits {
    let mut side = |key| {
        fields
            .object(key)
            .map(|mut side| operations(&mut side))
            .unwrap_or_default()
    };
    HeaderEdits {
        request: side("request"),
        response: side("response"),
    }
}

fn operations(fields: &mut Fields<'_>) -> Vec<HeaderOperation> {
    let mut operations = Vec::new();
    for (path, text) in fields.texts("remove") {
        match text.parse() {
            Ok(name) => operations.push(HeaderOperation::Remove(name)),
            Err(_) => fields.findings().add(
                FindingKind::Invalid,
                path,
                "not a header name; it is ignored",
            ),
        }
    }
    for (key, make) in [
        ("set", HeaderOperation::Set as fn(_, _) -> _),
        ("add", HeaderOperation::Add),
    ] {
        for (name, path, value) in fields.entries(key) {
            let name = if name == ":authority" { "host" } else { name };
            match (
                name.parse(),
                value.as_str().and_then(|text| text.parse().ok()),
            ) {
                (Ok(name), Some(value)) => operations.push(make(name, value)),
                _ => {
                    fields
                        .findings()
                        .add(FindingKind::Invalid, path, "not a header; it is ignored")
                }
            }
        }
    }
    operations
}
