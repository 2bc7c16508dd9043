//! [`Conversion`]: a program that makes one version of a kind's objects of another, what it is asked and what its answer is worth.

use osier_admission::WebhookTarget;
use osier_api::Object;
use serde_json::{Value, json};

const API_VERSION: &str = "apiextensions.k8s.io/v1";

/// Who converts the objects of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// Where the program is.
    pub target: WebhookTarget,
}

impl Conversion {
    /// Of a definition whose strategy is `Webhook`.
    pub(crate) fn of(definition: &Object) -> Option<Self> {
        let said = definition.get(&["spec", "conversion"])?;
        let target = (said["strategy"] == "Webhook")
            .then(|| WebhookTarget::read(&said["webhook"]["clientConfig"]))?;
        target.map(|target| Self { target })
    }

    /// What the program is asked: a ConversionReview.
    pub fn question(&self, uid: &str, wanted: &str, objects: &[Object]) -> Value {
        json!({"apiVersion": API_VERSION, "kind": "ConversionReview",
            "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": objects}})
    }
}

/// The objects that a program made; of their metadata it may change labels and annotations only.
///
/// # Errors
/// Why the answer is none.
pub fn converted(
    bytes: &[u8],
    (uid, wanted): (&str, &str),
    originals: Vec<Object>,
) -> Result<Vec<Object>, String> {
    let invalid = |words: String| format!("invalid response: {words}");
    let review: Value =
        serde_json::from_slice(bytes).map_err(|error| invalid(format!("no JSON: {error}")))?;
    if review["apiVersion"] != API_VERSION || review["kind"] != "ConversionReview" {
        let found = format!("{}, Kind={}", review["apiVersion"], review["kind"]);
        return Err(invalid(format!(
            "expected {API_VERSION}, Kind=ConversionReview, got {found}"
        )));
    }
    let response = &review["response"];
    if response["uid"] != uid {
        return Err(invalid(format!(
            "expected response.uid={uid:?}, got {}",
            response["uid"]
        )));
    }
    if response["result"]["status"] != "Success" {
        let message = response["result"]["message"].as_str().unwrap_or("");
        let words = if message.is_empty() {
            "no reason given"
        } else {
            message
        };
        return Err(words.to_owned());
    }
    let made = response["convertedObjects"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if made.len() != originals.len() {
        let (found, count) = (made.len(), originals.len());
        return Err(invalid(format!(
            "returned {found} objects, expected {count}"
        )));
    }
    let pairs = originals.into_iter().zip(made).enumerate();
    let kept = pairs.map(|(index, (original, made))| {
        kept(&original, made, wanted)
            .map_err(|words| invalid(format!("in object at index {index}: {words}")))
    });
    kept.collect()
}

fn kept(original: &Object, made: &Value, wanted: &str) -> Result<Object, String> {
    let mut object = Object::from_value(made.clone()).map_err(|error| error.to_string())?;
    if object.api_version() != wanted {
        return Err(format!(
            "expected apiVersion {wanted:?}, got {:?}",
            object.api_version()
        ));
    }
    if object.kind() != original.kind() {
        return Err(format!(
            "expected kind {:?}, got {:?}",
            original.kind(),
            object.kind()
        ));
    }
    for field in ["name", "namespace", "uid"] {
        let (had, has) = (
            original.text(&["metadata", field]),
            object.text(&["metadata", field]),
        );
        if had != has {
            return Err(format!(
                "must have the same metadata.{field}: {had:?} != {has:?}"
            ));
        }
    }
    let mut metadata = original
        .get(&["metadata"])
        .cloned()
        .unwrap_or_else(|| json!({}));
    for field in ["labels", "annotations"] {
        match object.get(&["metadata", field]) {
            Some(value) => metadata[field] = value.clone(),
            None => {
                let map = metadata.as_object_mut();
                map.and_then(|map| map.remove(field));
            }
        }
    }
    object.set(&["metadata"], metadata);
    Ok(object)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn tab(version: &str, label: &str) -> Object {
        Object::from_value(
            json!({"apiVersion": format!("e.com/{version}"), "kind": "Tab",
            "metadata": {"name": "a", "uid": "u", "generation": 3, "labels": {"l": label}}}),
        )
        .unwrap()
    }

    fn answer(made: Value) -> Result<Vec<Object>, String> {
        let review = json!({"apiVersion": API_VERSION, "kind": "ConversionReview",
            "response": {"uid": "1", "result": {"status": "Success"}, "convertedObjects": made}});
        let bytes = serde_json::to_vec(&review).unwrap();
        converted(&bytes, ("1", "e.com/v2"), vec![tab("v1", "old")])
    }

    #[test]
    fn what_a_program_makes_keeps_its_metadata_but_for_labels_and_annotations() {
        let mut made = tab("v2", "new").into_value();
        made["metadata"]["generation"] = json!(99);
        let made = answer(json!([made])).unwrap().remove(0);
        assert_eq!((made.generation(), made.label("l")), (3, Some("new")));
        assert_eq!(made.api_version(), "e.com/v2");
    }

    #[test]
    fn an_answer_that_is_none_says_why() {
        let mut renamed = tab("v2", "").into_value();
        renamed["metadata"]["name"] = json!("b");
        for (made, words) in [
            (json!([]), "returned 0 objects, expected 1"),
            (json!([tab("v1", "")]), "expected apiVersion \"e.com/v2\""),
            (json!([renamed]), "must have the same metadata.name"),
        ] {
            let told = answer(made).unwrap_err();
            assert!(told.contains(words), "{told}");
        }
        let refused = json!({"apiVersion": API_VERSION, "kind": "ConversionReview",
            "response": {"uid": "1", "result": {"status": "Failed", "message": "no such colour"}}});
        let bytes = serde_json::to_vec(&refused).unwrap();
        assert_eq!(
            converted(&bytes, ("1", "x"), Vec::new()),
            Err("no such colour".to_owned())
        );
        assert!(
            converted(&bytes, ("2", "x"), Vec::new())
                .unwrap_err()
                .contains("response.uid")
        );
        assert!(
            converted(b"<html>", ("2", "x"), Vec::new())
                .unwrap_err()
                .contains("no JSON")
        );
    }
}
