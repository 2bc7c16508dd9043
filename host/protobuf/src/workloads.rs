//! The fields of workloads, of the pods that they make, and of most other kinds, from the table `workloads.txt`, which
//! `extract.py` writes.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::messages::{Field, Kind, Shape};

const TABLE: &str = include_str!("workloads.txt");

/// The fields of a kind: `apps/v1`, `Deployment`, or `v1`, `Pod`.
pub(super) fn kind(api_version: &str, kind: &str) -> Option<Shape> {
    let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
    let package = group.split('.').next()?;
    let shape = message(&format!("api.{package}.{version}.{kind}"))?;
    let is_object = shape.iter().any(|field| field.name == "metadata");
    is_object.then_some(shape)
}

/// The fields of a message, by its full name without `k8s.io`.
pub(super) fn message(name: &str) -> Option<Shape> {
    static MESSAGES: OnceLock<BTreeMap<&str, Vec<Field>>> = OnceLock::new();
    let messages = MESSAGES.get_or_init(|| TABLE.lines().filter_map(line).collect());
    messages.get(name).map(Vec::as_slice)
}

fn line(line: &'static str) -> Option<(&'static str, Vec<Field>)> {
    let mut words = line.split(' ');
    let name = words.next().filter(|name| *name != "#")?;
    Some((name, words.filter_map(field).collect()))
}

/// `4:strategy=api.apps.v1.DeploymentStrategy`.
fn field(word: &'static str) -> Option<Field> {
    let (number, rest) = word.split_once(':')?;
    let (name, kind) = rest.split_once('=')?;
    let bare = name.trim_end_matches('*');
    Some(Field {
        number: number.parse().ok()?,
        name: bare,
        kind: read(bare, kind),
        repeated: bare.len() < name.len(),
    })
}

fn read(name: &str, kind: &'static str) -> Kind {
    match kind {
        "text" => Kind::Text,
        "number" => Kind::Number,
        "number!" => Kind::SetNumber,
        "bool" => Kind::Flag,
        "bool!" => Kind::Bool,
        "bytes" => Kind::Bytes,
        "text-map" => Kind::TextMap,
        "bytes-map" => Kind::BytesMap,
        "quantity-map" => Kind::QuantityMap,
        "list-map" => Kind::ListMap,
        "quantity" => Kind::Quantity,
        "time" => Kind::Time,
        "micro-time" => Kind::MicroTime,
        "raw" => Kind::Raw,
        "int-or-string" => Kind::IntOrString,
        "int-or-string!" => Kind::SetIntOrString,
        "ignored" => Kind::Ignored,
        message if name == "-" => Kind::Inside(message),
        message => Kind::Named(message),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_message_that_is_named_is_there() {
        for name in TABLE.lines().filter_map(line).map(|(name, _)| name) {
            for field in message(name).unwrap() {
                if let Kind::Named(inner) | Kind::Inside(inner) = field.kind {
                    assert!(message(inner).is_some(), "{name}: {inner}");
                }
            }
        }
        assert!(kind("apps/v1", "Deployment").is_some());
        assert!(kind("policy/v1", "PodDisruptionBudget").is_some());
        assert!(kind("networking.k8s.io/v1", "Ingress").is_some());
        assert!(kind("certificates.k8s.io/v1", "CertificateSigningRequest").is_some());
        assert!(kind("apps/v1", "DeploymentSpec").is_none());
    }
}
