//! Roles and bindings.

use super::at::At;
use super::names;
use osier_api::{Fault, Object};

const GROUP: &str = "rbac.authorization.k8s.io";

/// The shortest life of a certificate that may be asked for, in seconds.
const SHORTEST: i64 = 600;

/// What a request for a certificate says; what is inside `request` is read by whoever signs.
pub(super) fn check_signing_request(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (request, signer) = (spec.at("request"), spec.at("signerName"));
    if !request.is_set() {
        faults.push(request.required("a PEM certificate request, in base64"));
    }
    match signer.text().split_once('/') {
        Some((domain, path)) if domain.contains('.') && !path.is_empty() => {}
        _ => faults.push(signer.invalid(
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        )),
    }
    let usages = spec.at("usages");
    if !usages.is_set() {
        faults.push(usages.required("at least one usage"));
    }
    let seconds = spec.at("expirationSeconds");
    if seconds.int().is_some_and(|asked| asked < SHORTEST) {
        faults
            .push(seconds.invalid("may not specify a duration less than 600 seconds (10 minutes)"));
    }
    faults
}

/// The rules of a role.
pub(super) fn check_role(role: &Object, namespaced: bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    for rule in At::of(role, "rules").items() {
        let (groups, resources) = (rule.at("apiGroups"), rule.at("resources"));
        let (urls, verbs) = (rule.at("nonResourceURLs"), rule.at("verbs"));
        if !verbs.is_set() {
            faults.push(verbs.required("verbs must contain at least one value"));
        }
        if urls.is_set() {
            faults.extend(check_urls(&rule, namespaced));
            continue;
        }
        if !groups.is_set() {
            let words = "resource rules must supply at least one api group";
            faults.push(groups.required(words));
        }
        if !resources.is_set() {
            let words = "resource rules must supply at least one resource";
            faults.push(resources.required(words));
        }
    }
    faults
}

fn check_urls(rule: &At<'_>, namespaced: bool) -> Vec<Fault> {
    let urls = rule.at("nonResourceURLs");
    let mut faults = Vec::new();
    if namespaced {
        faults.push(urls.invalid("namespaced rules cannot apply to non-resource URLs"));
    }
    let others = ["apiGroups", "resources", "resourceNames"];
    if others.iter().any(|field| rule.at(field).is_set()) {
        let words = "rules cannot apply to both regular resources and non-resource URLs";
        faults.push(urls.invalid(words));
    }
    faults
}

/// A role's name and who has it.
pub(super) fn check_binding(binding: &Object, namespaced: bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    let role = At::of(binding, "roleRef");
    faults.extend(role.at("apiGroup").one_of(&[GROUP]));
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    let kind = role.at("kind");
    if !kinds.contains(&kind.text()) {
        faults.push(Fault::not_supported(&kind.path, kind.text(), kinds));
    }
    faults.extend(role.at("name").name(names::path_segment));
    let subjects = At::of(binding, "subjects").items();
    faults.extend(subjects.iter().flat_map(|one| subject(one, namespaced)));
    faults
}

fn subject(subject: &At<'_>, namespaced: bool) -> Vec<Fault> {
    let (name, group) = (subject.at("name"), subject.at("apiGroup"));
    let mut faults = Vec::new();
    if !name.is_set() {
        faults.push(name.required(""));
    }
    match subject.at("kind").text() {
        "ServiceAccount" => {
            let namespace = subject.at("namespace");
            faults.extend(name.optional_name(names::subdomain));
            if group.is_set() {
                faults.push(Fault::not_supported(&group.path, group.text(), &[""]));
            }
            if !namespaced && !namespace.is_set() {
                faults.push(namespace.required(""));
            }
        }
        "User" | "Group" => faults.extend(group.one_of(&[GROUP])),
        other => {
            let kinds = ["ServiceAccount", "User", "Group"];
            faults.push(Fault::not_supported(
                &subject.at("kind").path,
                other,
                &kinds,
            ));
        }
    }
    faults
}

/// Who a binding means may change, what it gives may not.
pub(super) fn check_binding_update(old: &Object, new: &Object) -> Vec<Fault> {
    let (before, after) = (At::of(old, "roleRef"), At::of(new, "roleRef"));
    if before.value == after.value {
        return Vec::new();
    }
    vec![after.invalid("cannot change roleRef")]
}
