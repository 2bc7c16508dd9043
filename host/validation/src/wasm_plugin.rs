//! Istio's WasmPlugins: where the module is, and words that have a meaning.

use super::at::At;
use osier_api::Fault;

const PHASES: [&str; 4] = ["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"];
const FAIL_STRATEGIES: [&str; 3] = ["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"];
const TYPES: [&str; 3] = ["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"];
const PULL_POLICIES: [&str; 3] = ["UNSPECIFIED_POLICY", "IfNotPresent", "Always"];
const MODES: [&str; 4] = ["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"];
const SOURCES: [&str; 2] = ["INLINE", "HOST"];

pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    if spec.at("url").text().is_empty() {
        faults.push(spec.at("url").required("where the module is"));
    }
    for (field, words) in [
        ("phase", PHASES.as_slice()),
        ("failStrategy", FAIL_STRATEGIES.as_slice()),
        ("type", TYPES.as_slice()),
        ("imagePullPolicy", PULL_POLICIES.as_slice()),
    ] {
        faults.extend(spec.at(field).one_of(words));
    }
    for one in spec.at("match").items() {
        faults.extend(one.at("mode").one_of(&MODES));
    }
    for one in spec.at("vmConfig").at("env").items() {
        if one.at("name").text().is_empty() {
            faults.push(one.at("name").required("the variable's name"));
        }
        faults.extend(one.at("valueFrom").one_of(&SOURCES));
    }
    let digest = spec.at("sha256");
    let hex = digest.text().trim_start_matches("sha256:");
    if digest.is_set() && (hex.len() != 64 || !hex.chars().all(|c| c.is_ascii_hexdigit())) {
        faults.push(digest.invalid("must be 64 hexadecimal digits"));
    }
    let attached = ["targetRef", "targetRefs"]
        .iter()
        .any(|field| spec.at(field).is_set());
    if spec.at("selector").is_set() && attached {
        faults.push(
            spec.at("selector")
                .forbidden("only one of selector and targetRefs may be set"),
        );
    }
    faults
}
