//! What a node tells of the images that it has run: by name the imports that not every pod may have, in an annotation of its Node.

use std::collections::BTreeMap;

use osier_api::Object;
use serde_json::{Value, json};

/// The annotation.
pub const ANNOTATION: &str = "osier.dev/image-imports";

/// Images that are told of, imports of one, and characters of a name.
const MOST_IMAGES: usize = 64;
const MOST_IMPORTS: usize = 16;
const LONGEST: usize = 256;

/// Imports by the name of the image.
pub type Needs = BTreeMap<String, Vec<String>>;

/// What a Node tells. What cannot be read is left out: it only spares somebody a warning.
#[must_use]
pub fn of(node: &Object) -> Needs {
    let text = node.annotation(ANNOTATION).unwrap_or_default();
    let told = serde_json::from_str::<BTreeMap<String, Value>>(text);
    let imports = |told: Value| {
        let told = told.as_array().into_iter().flatten();
        told.filter_map(|import| import.as_str().map(str::to_owned))
            .collect()
    };
    let told = told.unwrap_or_default().into_iter();
    told.map(|(image, told)| (image, imports(told))).collect()
}

/// The text of the annotation when a node has seen more, or others; nothing if it says so already. What it saw goes first, and what it said
/// before stays as long as there is room: the image may be used again.
#[must_use]
pub fn with(node: &Object, seen: &Needs) -> Option<String> {
    let before = of(node);
    let fresh = seen.iter().filter(|(_, imports)| !imports.is_empty());
    let mut told: Needs = fresh
        .filter(|(image, _)| image.len() <= LONGEST)
        .take(MOST_IMAGES)
        .map(|(image, imports)| {
            let short = imports.iter().filter(|import| import.len() <= LONGEST);
            (image.clone(), short.take(MOST_IMPORTS).cloned().collect())
        })
        .collect();
    let stay = before
        .iter()
        .filter(|(image, _)| !seen.contains_key(*image));
    let room = MOST_IMAGES.saturating_sub(told.len());
    let stay: Vec<_> = stay.take(room).collect();
    told.extend(
        stay.into_iter()
            .map(|(image, imports)| (image.clone(), imports.clone())),
    );
    (told != before).then(|| json!(told).to_string())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn node(text: &str) -> Object {
        Object::from_value(json!({"metadata": {"annotations": {ANNOTATION: text}}})).unwrap()
    }

    fn seen(of: &[(&str, &[&str])]) -> Needs {
        let own = |(image, imports): &(&str, &[&str])| {
            (
                (*image).to_owned(),
                imports.iter().map(|import| (*import).to_owned()).collect(),
            )
        };
        of.iter().map(own).collect()
    }

    #[test]
    fn what_is_seen_is_told_and_what_was_told_stays() {
        let first = with(
            &Object::default(),
            &seen(&[("a:1", &["wasi:keyvalue/store"]), ("b:1", &[])]),
        )
        .unwrap();
        assert_eq!(first, r#"{"a:1":["wasi:keyvalue/store"]}"#);
        assert_eq!(
            with(&node(&first), &seen(&[])),
            None,
            "an agent that starts again has seen nothing"
        );
        assert_eq!(
            with(&node(&first), &seen(&[("a:1", &["wasi:keyvalue/store"])])),
            None
        );
        let more = with(&node(&first), &seen(&[("c:1", &["x"])])).unwrap();
        assert_eq!(of(&node(&more)).len(), 2);
        let other = with(&node(&first), &seen(&[("a:1", &[])])).unwrap();
        assert_eq!(
            of(&node(&other)),
            seen(&[]),
            "the name means another image now"
        );
        assert_eq!(of(&node("no JSON")), seen(&[]));
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let many: Needs = (0..200)
            .map(|n| (format!("i{n}"), vec!["x".to_owned(); 40]))
            .collect();
        let told = of(&node(&with(&Object::default(), &many).unwrap()));
        assert_eq!(told.len(), MOST_IMAGES);
        assert!(told.values().all(|imports| imports.len() <= MOST_IMPORTS));
        let again = with(&node(&json!(told).to_string()), &seen(&[("z:1", &["y"])])).unwrap();
        let again = of(&node(&again));
        assert_eq!(
            (again.len(), again.contains_key("z:1")),
            (MOST_IMAGES, true)
        );
    }
}
