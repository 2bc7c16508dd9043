//! `headers` of a route or of one destination.

use osier_routing::headers::{HeaderEdits, HeaderOperation};
use osier_standing::FindingKind;
use osier_traffic::Fields;

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
            Err(_) => unusable(fields, path),
        }
    }
    for (key, make) in [
        ("set", HeaderOperation::Set as fn(_, _) -> _),
        ("add", HeaderOperation::Add),
    ] {
        for (name, path, value) in fields.entries(key) {
            let name = if name == ":authority" { "host" } else { name };
            let value = value.as_str().and_then(|text| text.parse().ok());
            match (name.parse(), value) {
                (Ok(name), Some(value)) => operations.push(make(name, value)),
                _ => unusable(fields, path),
            }
        }
    }
    operations
}

fn unusable(fields: &Fields<'_>, path: String) {
    let detail = "not a header; it is ignored";
    fields.findings().add(FindingKind::Invalid, path, detail);
}
