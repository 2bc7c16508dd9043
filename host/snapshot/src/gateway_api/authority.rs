//! ConfigMaps with certificates of authorities, as policies about backends and gateways about their clients name them.

use std::sync::Arc;

use osier_api::Object;
use osier_standing::FindingKind;
use serde_json::Value;

use super::references::{References, Target};
use osier_routing::kind::Kind;
use osier_traffic::Fields;

const CONFIG_MAP: Kind = Kind::new("", "ConfigMap");

/// The objects that a list of references depends on, of an object in namespace `own`.
pub(super) fn needed(
    refs: &Value,
    own: &str,
    references: &References<'_>,
) -> Vec<Option<Arc<Object>>> {
    let mut needed = Vec::new();
    for one in refs.as_array().into_iter().flatten() {
        let namespace = one["namespace"].as_str().unwrap_or(own);
        let name = one["name"].as_str().unwrap_or_default();
        needed.push(references.config_map(namespace, name).cloned());
        if namespace != own {
            needed.extend(references.grants(namespace).map(Some));
        }
    }
    needed
}

/// The certificates of all ConfigMaps at `caCertificateRefs` that can be read, in PEM; nothing if none can. `from` is who names them, by
/// kind and namespace.
pub(super) fn all(
    fields: &mut Fields<'_>,
    from: (Kind, &str),
    references: &References<'_>,
) -> Option<String> {
    let mut pem = String::new();
    for mut reference in fields.objects("caCertificateRefs") {
        match one(&mut reference, from, references) {
            Ok(text) => {
                pem.push_str(text);
                pem.push('\n');
            }
            Err((kind, detail)) => reference.findings().add(kind, reference.at(""), detail),
        }
    }
    (!pem.is_empty()).then_some(pem)
}

/// The certificates of one ConfigMap, or what is wrong with the reference.
fn one<'a>(
    reference: &mut Fields<'_>,
    (kind, own): (Kind, &str),
    references: &References<'a>,
) -> Result<&'a str, (FindingKind, String)> {
    let (group, of) = (reference.text("group"), reference.text("kind"));
    let name = reference.text("name").unwrap_or_default();
    let namespace = reference.text("namespace").unwrap_or(own);
    if !group.unwrap_or_default().is_empty() || of != Some("ConfigMap") {
        let detail = "only ConfigMaps are read, at ca.crt".to_owned();
        return Err((FindingKind::UnknownKind, detail));
    }
    let target = Target {
        kind: CONFIG_MAP,
        namespace,
        name,
    };
    if !references.permit((kind, own), target) {
        let detail = format!(
            "no ReferenceGrant in namespace {namespace} lets {kind} of namespace {own} name ConfigMap {name}"
        );
        return Err((FindingKind::NotPermitted, detail));
    }
    let map = references.config_map(namespace, name);
    let found = map.and_then(|map| map.get(&["data", "ca.crt"])?.as_str());
    found
        .filter(|text| text.contains("BEGIN CERTIFICATE"))
        .ok_or_else(|| {
            let detail = format!("ConfigMap {namespace}/{name} holds no certificate at ca.crt");
            (FindingKind::Reference, detail)
        })
}
