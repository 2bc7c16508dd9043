//! BackendTLSPolicy: Services that are called over TLS, and how their servers are verified
//! (<https://gateway-api.sigs.k8s.io/api-types/backendtlspolicy/>).

use std::sync::Arc;

use osier_api::Object;
use osier_balancing::{Origination, Trust};

use super::references::References;
use super::{BACKEND_TLS_POLICY, authority};
use crate::table::About;
use osier_standing::{Finding, FindingKind};
use osier_traffic::Fields;

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
    refs.map_or_else(Vec::new, |refs| {
        authority::needed(refs, object.namespace(), references)
    })
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
        _ => authority::all(fields, (BACKEND_TLS_POLICY, of.0), of.1)
            .map_or(Trust::Nobody, |pem| Trust::Pem(pem.into())),
    };
    Origination {
        sni: Some(hostname.into()),
        names,
        trust,
        revoked: None,
        credential: None,
    }
}
