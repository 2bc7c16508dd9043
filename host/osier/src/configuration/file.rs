//! Reading the `--config` file: what is wrong with it is told by file and key.

use super::{Faults, File};
use crate::words::nearest;
use serde_json::Value;
use std::path::Path;

/// The file's settings.
pub(super) fn read(path: &Path) -> Result<File, Faults> {
    let fault = |what: String| Faults(vec![format!("--config {}: {what}", path.display())], None);
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    // Anything that is no map of keys is told by the typed reading.
    if let Ok(Value::Object(given)) = serde_saphyr::from_str(&text) {
        let known = keys();
        let unknown: Vec<&String> = given.keys().filter(|key| !known.contains(key)).collect();
        if !unknown.is_empty() {
            return Err(fault(unknown_keys(&unknown, &known)));
        }
    }
    serde_saphyr::from_str(&text).map_err(|error| fault(error.to_string()))
}

/// Every key that there is.
fn keys() -> Vec<String> {
    match serde_json::to_value(File::default()) {
        Ok(Value::Object(keys)) => keys.into_iter().map(|(key, _)| key).collect(),
        _ => Vec::new(),
    }
}

/// What may have been meant; the whole list only where nothing is near.
fn unknown_keys(unknown: &[&String], known: &[String]) -> String {
    let told: Vec<String> = unknown
        .iter()
        .map(|key| {
            let near = nearest(known.iter().map(String::as_str), key);
            near.map_or_else(
                || format!("unknown key {key}: there are {}", known.join(", ")),
                |near| format!("unknown key {key}: did you mean {near}?"),
            )
        })
        .collect();
    told.join("; ")
}

/// The key that means the same as a flag: `apiListen` for `api-listen`.
pub(super) fn key_of(flag: &str) -> String {
    let mut words = flag.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |key, word| {
        let mut letters = word.chars();
        let head = letters.next().map(|letter| letter.to_ascii_uppercase());
        key + &head.into_iter().chain(letters).collect::<String>()
    })
}
