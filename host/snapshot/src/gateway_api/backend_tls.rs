//! BackendTLSPolicy: Services that are called over TLS, and how their servers are verified
//! (<https://gateway-api.sigs.k8s.io/api-types/backendtlspolicy/>).

use std::sync::Arc;

use osier_api::Object;
use osier_balancing::{Origination, Trust};
use serde_json::Value;

use super::BACKEND_TLS_POLICY;
use super::references::References;
use crate::finding::{Finding, FindingKind};
use crate::read::Fields;
use crate::table::About;

/// What one policy says.
#[derive(Debug)]
pub(crate) struct BackendTls {
    pub(crate) about: About,
    pub(crate) generation: i64,
    /// The Services of its namespace, each with the one port that is meant, by name.
    pub(crate) targets: Vec<(String, Option<String>)>,
    pub(crate) origination: Origination,
    /// What was wrong with the object alone.
    pub(crate) findings: Vec<Finding>,
}

impl BackendTls {
    /// Whether it speaks of a port of a Service of its namespace.
    pub(crate) fn is_for(&self, service: &str, port: &str) -> bool {
        let fits = |(name, section): &(String, Option<String>)| {
            name == service && section.as_ref().is_none_or(|section| section == port)
        };
        self.targets.iter().any(fits)
    }
}

/// The ConfigMaps with authorities that a policy names.
pub(crate) fn needed(object: &Object, references: &References<'_>) -> Vec<Option<Arc<Object>>> {
    let refs = object.get(&["spec", "validation", "caCertificateRefs"]);
    let refs = refs.and_then(Value::as_array).into_iter().flatten();
    let names = refs.map(|one| one["name"].as_str().unwrap_or_default());
    names
        .map(|name| references.config_map(object.namespace(), name).cloned())
        .collect()
}

/// Reads one policy.
pub(crate) fn compile(object: &Object, references: &References<'_>) -> BackendTls {
    let about = About::of(object, BACKEND_TLS_POLICY);
    let findings = about.findings();
    let (mut targets, mut origination) = (Vec::new(), Origination::default());
    if let Some(mut spec) = Fields::spec(object, &findings) {
        for mut target in spec.objects("targetRefs") {
            targets.extend(self::target(&mut target));
        }
        if let Some(mut validation) = spec.object("validation") {
            origination = verify(&mut validation, (object.namespace(), references));
        }
    }
    BackendTls {
        generation: object.generation(),
        targets,
        origination,
        findings: findings.into_vec(),
        about,
    }
}

fn target(target: &mut Fields<'_>) -> Option<(String, Option<String>)> {
    let (group, kind) = (target.text("group"), target.text("kind"));
    let name = target.text("name")?.to_owned();
    let section = target.text("sectionName").map(ToOwned::to_owned);
    if !group.unwrap_or_default().is_empty() || kind != Some("Service") {
        let detail = "only Services are called; it is ignored";
        let findings = target.findings();
        findings.add(FindingKind::UnknownKind, target.at("kind"), detail);
        return None;
    }
    Some((name, section))
}

fn verify(fields: &mut Fields<'_>, of: (&str, &References<'_>)) -> Origination {
    let hostname = fields.text("hostname").unwrap_or_default();
    let mut names: Vec<Arc<str>> = Vec::new();
    for mut name in fields.objects("subjectAltNames") {
        let (host, uri) = (name.text("hostname"), name.text("uri"));
        let _kind = name.text("type");
        names.extend(host.or(uri).map(Arc::from));
    }
    if names.is_empty() {
        names.push(hostname.into());
    }
    let trust = match fields.text("wellKnownCACertificates") {
        Some("System") => Trust::System,
        _ => authorities(fields, of),
    };
    Origination {
        sni: Some(hostname.into()),
        names,
        trust,
        credential: None,
    }
}

/// The authorities of all ConfigMaps that can be read; without any nobody is believed.
fn authorities(fields: &mut Fields<'_>, (namespace, references): (&str, &References<'_>)) -> Trust {
    let mut pem = String::new();
    for mut reference in fields.objects("caCertificateRefs") {
        if let Some(text) = authority(&mut reference, (namespace, references)) {
            pem.push_str(text);
            pem.push('\n');
        }
    }
    match pem.as_str() {
        "" => Trust::Nobody,
        pem => Trust::Pem(pem.into()),
    }
}

/// The certificates of one ConfigMap.
fn authority<'a>(
    reference: &mut Fields<'_>,
    (namespace, references): (&str, &References<'a>),
) -> Option<&'a str> {
    let (group, kind) = (reference.text("group"), reference.text("kind"));
    let name = reference.text("name").unwrap_or_default();
    let (findings, field) = (reference.findings(), reference.at(""));
    if !group.unwrap_or_default().is_empty() || kind != Some("ConfigMap") {
        let detail = "only ConfigMaps are read, at ca.crt";
        findings.add(FindingKind::UnknownKind, field, detail);
        return None;
    }
    let map = references.config_map(namespace, name);
    let found = map.and_then(|map| map.get(&["data", "ca.crt"])?.as_str());
    let found = found.filter(|text| text.contains("BEGIN CERTIFICATE"));
    if found.is_none() {
        let detail = format!("ConfigMap {namespace}/{name} holds no certificate at ca.crt");
        findings.add(FindingKind::Reference, field, detail);
    }
    found
}
