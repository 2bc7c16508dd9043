//! PeerAuthentication: how the callers of pods prove who they are.
//!
//! A pod is called in memory, or from another node over mutual TLS as its caller; a gateway calls it with the gateway's identity,
//! whatever its own client spoke. So STRICT is always in force, and what asks for less is told that there is no plain way.

use osier_api::Object;

use osier_routing::kind::Kind;
use osier_standing::{Finding, FindingKind, Findings};
use osier_traffic::Fields;

const KIND: Kind = Kind::new("security.istio.io", "PeerAuthentication");

/// What is not in force of one PeerAuthentication.
pub(crate) fn compile(object: &Object) -> Vec<Finding> {
    let findings = Findings::about(KIND, object.namespace(), object.name());
    if let Some(mut spec) = Fields::spec(object, &findings) {
        // For whom it is changes nothing: everyone has it.
        if let Some(mut selector) = spec.object("selector") {
            let _labels = selector.entries("matchLabels");
        }
        if let Some(mut mtls) = spec.object("mtls") {
            mode(&mut mtls);
        }
        for (_, path, value) in spec.entries("portLevelMtls") {
            if let Some(mut mtls) = Fields::new(value, path, &findings) {
                mode(&mut mtls);
            }
        }
    }
    findings.into_vec()
}

fn mode(mtls: &mut Fields<'_>) {
    let asked = mtls.text("mode").unwrap_or("UNSET");
    if matches!(asked, "PERMISSIVE" | "DISABLE") {
        let detail = format!(
            "{asked} is not applied: a pod takes no plain calls; who calls it is proved as with STRICT"
        );
        let findings = mtls.findings();
        findings.add(FindingKind::NotApplied, mtls.at("mode"), detail);
    }
}
