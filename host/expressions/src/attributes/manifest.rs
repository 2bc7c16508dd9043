//! What AttributeManifests add to the vocabulary. A mesh has one: their attributes are known to every policy.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::Vocabulary;
use crate::value::Type;
use osier_spec::Fault;

/// Attributes that the manifests of a mesh may add.
const MOST: usize = 256;
/// Places that one process gives out: each name and type keeps its own, also when its manifest has gone.
const PLACES: usize = 4_096;

/// Where the values of added attributes stand. An attribute keeps its place for as long as the process lives, so that policies compiled
/// with different manifests read the same call.
#[derive(Default)]
pub struct Places(HashMap<(String, String), u16>);

impl Places {
    fn of(&mut self, name: &str, ty: &Type) -> Option<u16> {
        let next = self.0.len();
        let key = (name.to_owned(), ty.to_string());
        if next >= PLACES && !self.0.contains_key(&key) {
            return None;
        }
        let fresh = u16::try_from(next).ok()?;
        Some(*self.0.entry(key).or_insert(fresh))
    }

    /// Adds what manifests declare, in their order: name of the object, its `spec`. What is at fault is left out, and told with the name
    /// of its manifest.
    pub fn add<'m>(
        &mut self,
        vocabulary: &mut Vocabulary,
        manifests: impl IntoIterator<Item = (&'m str, &'m Json)>,
    ) -> Vec<(&'m str, Fault)> {
        let (mut faults, mut owners) = (Vec::new(), HashMap::new());
        for (manifest, spec) in manifests {
            let attributes = spec.get("attributes").and_then(Json::as_object);
            for (name, declared) in attributes.into_iter().flatten() {
                let path = format!("spec.attributes[{name}]");
                let owner = owners.get(name.as_str()).copied();
                match self.declare(vocabulary, (name, declared), owner) {
                    Ok(()) => {
                        owners.entry(name.as_str()).or_insert(manifest);
                    }
                    Err((field, detail)) => {
                        faults.push((manifest, Fault::new(format!("{path}{field}"), detail)));
                    }
                }
            }
        }
        faults
    }

    /// Adds one attribute; `owner` is the manifest that has declared it before.
    fn declare(
        &mut self,
        vocabulary: &mut Vocabulary,
        (name, declared): (&str, &Json),
        owner: Option<&str>,
    ) -> Result<(), (&'static str, String)> {
        well_formed(name).map_err(|detail| ("", detail))?;
        let said = declared["valueType"].as_str().unwrap_or_default();
        let Some(ty) = value_type(said) else {
            return Err((".valueType", format!("`{said}` must be one of {}", words())));
        };
        if let Some(known) = vocabulary.get(name) {
            return match (owner, known.ty == ty) {
                (None, _) => Err(("", "is an attribute of the standard vocabulary".into())),
                (Some(_), true) => Ok(()),
                (Some(owner), false) => Err((
                    ".valueType",
                    format!(
                        "is {} in AttributeManifest {owner}; an attribute has one type",
                        known.ty
                    ),
                )),
            };
        }
        if let Some(other) = vocabulary.overlaps(name) {
            return Err((
                "",
                format!("and attribute `{other}`: one must not be the beginning of the other"),
            ));
        }
        let added = vocabulary
            .iter()
            .filter(|info| info.place().is_some())
            .count();
        let place = self.of(name, &ty).filter(|_| added < MOST);
        let Some(place) = place else {
            return Err((
                "",
                format!("is one too many: manifests of a mesh add at most {MOST} attributes"),
            ));
        };
        let meaning = declared["description"].as_str().unwrap_or_default();
        vocabulary.place(name, (ty, place), meaning);
        Ok(())
    }
}

/// Mixer's value types (`istio.mixer.v1.config.descriptor.ValueType`). Those that are kinds of text are texts here.
const TYPES: [(&str, Type); 10] = [
    ("STRING", Type::Text),
    ("INT64", Type::Int),
    ("DOUBLE", Type::Double),
    ("BOOL", Type::Bool),
    ("TIMESTAMP", Type::Time),
    ("DURATION", Type::Span),
    ("IP_ADDRESS", Type::Ip),
    ("EMAIL_ADDRESS", Type::Text),
    ("URI", Type::Text),
    ("DNS_NAME", Type::Text),
];
const MAP: &str = "STRING_MAP";

fn value_type(word: &str) -> Option<Type> {
    if word == MAP {
        return Some(Type::texts());
    }
    let found = TYPES.iter().find(|(known, _)| *known == word);
    found.map(|(_, ty)| ty.clone())
}

fn words() -> String {
    let words = TYPES.iter().map(|(word, _)| *word).chain([MAP]);
    words.collect::<Vec<_>>().join(", ")
}

/// Words of lower-case letters, digits and `_`, joined by dots, at least two of them: what an expression can write.
fn well_formed(name: &str) -> Result<(), String> {
    let word = |word: &str| {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        word.starts_with(|first: char| first.is_ascii_lowercase()) && word.bytes().all(letter)
    };
    if name.len() <= 128 && name.contains('.') && name.split('.').all(word) {
        return Ok(());
    }
    Err("must be words of lower-case letters, digits and _ joined by dots, such as gpu.seconds, at most 128 characters".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn declare(manifests: &[(&str, Json)]) -> (Vocabulary, Vec<String>) {
        let mut vocabulary = Vocabulary::default();
        let each = manifests.iter().map(|(name, spec)| (*name, spec));
        let faults = Places::default().add(&mut vocabulary, each);
        let told = faults
            .iter()
            .map(|(name, fault)| format!("{name}: {fault}"));
        (vocabulary, told.collect())
    }

    fn attribute(name: &str, ty: &str) -> Json {
        json!({"attributes": {name: {"valueType": ty}}})
    }

    #[test]
    fn manifests_add_typed_attributes_and_agree_on_them() {
        let (vocabulary, faults) = declare(&[
            ("a", attribute("gpu.seconds", "INT64")),
            ("b", attribute("gpu.seconds", "INT64")),
            ("c", attribute("job.owner", "EMAIL_ADDRESS")),
        ]);
        assert_eq!(faults, Vec::<String>::new());
        let seconds = vocabulary
            .get("gpu.seconds")
            .map(|info| (&info.ty, info.place()));
        assert_eq!(seconds, Some((&Type::Int, Some(0))));
        let owner = vocabulary
            .get("job.owner")
            .map(|info| (&info.ty, info.place()));
        assert_eq!(owner, Some((&Type::Text, Some(1))));
    }

    #[test]
    fn what_is_at_fault_is_told_and_left_out() {
        let (vocabulary, faults) = declare(&[
            ("a", attribute("gpu.seconds", "INT64")),
            ("b", attribute("gpu.seconds", "STRING")),
            ("c", attribute("request.path", "STRING")),
            ("d", attribute("gpu.seconds.more", "INT64")),
            ("e", attribute("gpu", "INT64")),
            ("f", attribute("job.size", "BYTES")),
        ]);
        let expected = [
            "b: spec.attributes[gpu.seconds].valueType: is int in AttributeManifest a",
            "c: spec.attributes[request.path]: is an attribute of the standard",
            "d: spec.attributes[gpu.seconds.more]: and attribute `gpu.seconds`",
            "e: spec.attributes[gpu]: must be words",
            "f: spec.attributes[job.size].valueType: `BYTES` must be one of STRING",
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, begin) in faults.iter().zip(expected) {
            assert!(fault.starts_with(begin), "{fault}");
        }
        let added = vocabulary.iter().filter(|info| info.place().is_some());
        assert_eq!(added.count(), 1);
    }

    #[test]
    fn an_attribute_keeps_its_place() {
        let mut places = Places::default();
        let (long, short) = (attribute("a.x", "BOOL"), attribute("b.x", "BOOL"));
        for (manifests, wanted) in [
            (vec![("m", &long), ("n", &short)], 1),
            (vec![("n", &short)], 1),
        ] {
            let mut vocabulary = Vocabulary::default();
            assert!(places.add(&mut vocabulary, manifests).is_empty());
            let place = vocabulary.get("b.x").and_then(|info| info.place());
            assert_eq!(place, Some(wanted));
        }
    }
}
