//! `spec.verify` of a Plugin: whose signature its image must have. Who fetches the image verifies it, and takes the field out of what is loaded.

use serde_json::Value as Json;

use crate::Fault;

/// Keys of one plugin.
const MOST: usize = 16;

/// The keys (PEM) of which one must have signed; none if nobody needs to have.
///
/// # Errors
/// The field is there and names no key: nobody may take that for a plugin that needs no signature.
pub fn signers(spec: &Json) -> Result<Option<Vec<String>>, Fault> {
    let verify = match &spec["verify"] {
        Json::Null => return Ok(None),
        verify => verify,
    };
    let fields = verify.as_object().map(|fields| fields.keys());
    let unknown = fields
        .into_iter()
        .flatten()
        .find(|name| *name != "cosignKeys");
    if let Some(unknown) = unknown {
        let detail = "is unknown; known is cosignKeys";
        return Err(Fault::new(format!("spec.verify.{unknown}"), detail));
    }
    let keys = verify["cosignKeys"]
        .as_array()
        .filter(|keys| (1..=MOST).contains(&keys.len()));
    let keys = keys
        .into_iter()
        .flatten()
        .map(|key| key.as_str().map(str::to_owned));
    match keys.collect::<Option<Vec<_>>>() {
        Some(keys) if !keys.is_empty() => Ok(Some(keys)),
        _ => {
            let detail =
                format!("must name 1 to {MOST} public keys, each as the text of cosign.pub");
            Err(Fault::new("spec.verify.cosignKeys", detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_read_and_nothing_else_is_taken_for_none() {
        assert_eq!(signers(&json!({"image": "a"})).ok(), Some(None));
        let two = json!({"verify": {"cosignKeys": ["a", "b"]}});
        assert_eq!(signers(&two).ok().flatten().map(|keys| keys.len()), Some(2));
        for (wrong, field) in [
            (json!({}), "spec.verify.cosignKeys"),
            (json!({"cosignKeys": []}), "spec.verify.cosignKeys"),
            (json!({"cosignKeys": "a"}), "spec.verify.cosignKeys"),
            (json!({"cosignKeys": [1]}), "spec.verify.cosignKeys"),
            (json!("a"), "spec.verify.cosignKeys"),
            (json!({"cosignKey": ["a"]}), "spec.verify.cosignKey"),
        ] {
            let found = signers(&json!({"verify": wrong})).err();
            assert_eq!(found.map(|fault| fault.field), Some(field.to_owned()));
        }
    }
}
