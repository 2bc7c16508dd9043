//! The rules for policies, bindings and webhooks, in upstream's words; what is wrong with expressions is said where they are compiled.

use osier_api::selector::LabelSelector;
use osier_api::{Fault, FaultKind, Object};
use osier_validation::{At, qualified, subdomain, unique};

use crate::target::client_config;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];
const FAILURES: [&str; 2] = ["Fail", "Ignore"];
const MATCHES: [&str; 2] = ["Equivalent", "Exact"];
/// Why a request that a policy refuses is refused.
const REASONS: [&str; 4] = [
    "Forbidden",
    "Invalid",
    "RequestEntityTooLarge",
    "Unauthorized",
];
const MOST_CONDITIONS: usize = 64;
/// Seconds that a webhook may take.
const LONGEST: i64 = 30;

pub(crate) fn check(plural: &str, object: &Object) -> Vec<Fault> {
    let spec = At::of(object, "spec");
    match plural {
        "validatingadmissionpolicies" => check_policy(&spec),
        "validatingadmissionpolicybindings" => check_policy_binding(&spec),
        _ => check_webhooks(object),
    }
}

fn check_webhooks(object: &Object) -> Vec<Fault> {
    let webhooks = At::of(object, "webhooks").items();
    let mut faults = unique(webhooks.iter().map(|webhook| webhook.at("name")));
    for webhook in &webhooks {
        faults.extend(check_webhook(webhook));
    }
    faults
}

fn check_webhook(webhook: &At<'_>) -> Vec<Fault> {
    let mut faults = webhook.at("name").name(qualified_domain);
    let config = webhook.at("clientConfig");
    faults.extend(client_config(config.value, &config.path));
    for rule in webhook.at("rules").items() {
        faults.extend(check_rule(&rule));
    }
    faults.extend(webhook.at("failurePolicy").one_of(&FAILURES));
    faults.extend(webhook.at("matchPolicy").one_of(&MATCHES));
    faults.extend(
        webhook
            .at("reinvocationPolicy")
            .one_of(&["IfNeeded", "Never"]),
    );
    let effects = webhook.at("sideEffects");
    if effects.is_set() {
        faults.extend(effects.one_of(&["None", "NoneOnDryRun"]));
    } else {
        faults.push(effects.required("must specify one of None, NoneOnDryRun"));
    }
    let timeout = webhook.at("timeoutSeconds");
    if timeout
        .int()
        .is_some_and(|seconds| !(1..=LONGEST).contains(&seconds))
    {
        faults.push(timeout.invalid("the timeout value must be between 1 and 30 seconds"));
    }
    faults.extend(check_versions(&webhook.at("admissionReviewVersions")));
    faults.extend(check_selectors(webhook));
    faults.extend(check_conditions(&webhook.at("matchConditions")));
    faults
}

fn qualified_domain(name: &str) -> Vec<String> {
    let mut words = subdomain(name);
    if words.is_empty() && name.split('.').count() < 3 {
        words.push("should be a domain with at least three segments separated by dots".to_owned());
    }
    words
}

/// The versions of reviews that a webhook understands; Osier speaks v1.
fn check_versions(versions: &At<'_>) -> Vec<Fault> {
    if !versions.is_set() {
        return vec![versions.required("must specify one of v1")];
    }
    let all = versions.items();
    let mut faults = unique(all.iter().cloned());
    if !all.iter().any(|version| version.text() == "v1") {
        faults.push(versions.invalid("must include at least one of v1"));
    }
    faults
}

fn check_selectors(at: &At<'_>) -> Vec<Fault> {
    let selectors = ["namespaceSelector", "objectSelector"].map(|field| at.at(field));
    let wrong = selectors.into_iter().filter_map(|selector| {
        let error = LabelSelector::from_object(selector.value).err()?;
        Some(selector.invalid(error.to_string()))
    });
    wrong.collect()
}

fn check_conditions(conditions: &At<'_>) -> Vec<Fault> {
    let all = conditions.items();
    let mut faults = unique(all.iter().map(|condition| condition.at("name")));
    if all.len() > MOST_CONDITIONS {
        let fault = Fault::new(
            FaultKind::TooMany,
            &conditions.path,
            "must have at most 64 items",
        );
        faults.push(fault.with(all.len()));
    }
    for condition in &all {
        faults.extend(condition.at("name").name(qualified));
        faults.extend(expression(&condition.at("expression")));
    }
    faults
}

fn expression(at: &At<'_>) -> Option<Fault> {
    at.text().trim().is_empty().then(|| at.required(""))
}

fn check_rule(rule: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in ["apiGroups", "apiVersions", "operations"] {
        faults.extend(starred(&rule.at(field), field));
    }
    for operation in rule.at("operations").items() {
        faults.extend(operation.one_of(&OPERATIONS));
    }
    let resources = rule.at("resources");
    if !resources.is_set() {
        faults.push(resources.required(""));
    }
    let all = resources.items();
    let has = |wanted: &str| all.iter().any(|one| one.text() == wanted);
    if all.len() > 1 && has("*/*") {
        faults.push(resources.invalid("if '*/*' is present, must not specify other resources"));
    }
    faults.extend(
        all.iter()
            .filter(|one| one.text().is_empty())
            .map(|one| one.required("")),
    );
    faults.extend(rule.at("scope").one_of(&SCOPES));
    faults
}

/// A list in which a star stands alone.
fn starred(list: &At<'_>, what: &str) -> Vec<Fault> {
    let all = list.items();
    if all.is_empty() {
        return vec![list.required("")];
    }
    let star = all.iter().any(|one| one.text() == "*");
    let words = format!("if '*' is present, must not specify other {what}");
    (star && all.len() > 1)
        .then(|| list.invalid(words))
        .into_iter()
        .collect()
}

fn check_resources(matched: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in ["resourceRules", "excludeResourceRules"] {
        for rule in matched.at(field).items() {
            faults.extend(check_rule(&rule));
            faults.extend(unique(rule.at("resourceNames").items()));
        }
    }
    faults.extend(matched.at("matchPolicy").one_of(&MATCHES));
    faults.extend(check_selectors(matched));
    faults
}

fn check_policy(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    faults.extend(spec.at("failurePolicy").one_of(&FAILURES));
    let constraints = spec.at("matchConstraints");
    if !constraints.is_present() {
        faults.push(constraints.required(""));
    } else if !constraints.at("resourceRules").is_set() {
        faults.push(constraints.at("resourceRules").required(""));
    }
    faults.extend(check_resources(&constraints));
    faults.extend(check_param_kind(&spec.at("paramKind")));
    let (validations, annotations) = (spec.at("validations"), spec.at("auditAnnotations"));
    if !validations.is_set() && !annotations.is_set() {
        let words = "validations or auditAnnotations must contain at least one item";
        faults.extend([validations.required(words), annotations.required(words)]);
    }
    faults.extend(check_conditions(&spec.at("matchConditions")));
    faults.extend(check_variables(&spec.at("variables")));
    for validation in validations.items() {
        faults.extend(expression(&validation.at("expression")));
        faults.extend(validation.at("reason").one_of(&REASONS));
        let message = validation.at("message");
        if message.text().contains('\n') {
            faults.push(message.invalid("message must not contain line breaks"));
        }
    }
    let annotations = annotations.items();
    faults.extend(unique(annotations.iter().map(|one| one.at("key"))));
    for annotation in &annotations {
        faults.extend(annotation.at("key").name(qualified));
        faults.extend(expression(&annotation.at("valueExpression")));
    }
    faults
}

fn check_param_kind(kind: &At<'_>) -> Vec<Fault> {
    if !kind.is_present() {
        return Vec::new();
    }
    let fields = ["apiVersion", "kind"].map(|field| kind.at(field));
    let missing = fields.iter().filter(|field| !field.is_set());
    missing.map(|field| field.required("")).collect()
}

fn check_variables(variables: &At<'_>) -> Vec<Fault> {
    let all = variables.items();
    let mut faults = unique(all.iter().map(|variable| variable.at("name")));
    for variable in &all {
        let name = variable.at("name");
        let mut letters = name.text().bytes();
        let first = letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
        let identifier = first && letters.all(|one| one.is_ascii_alphanumeric() || one == b'_');
        if !name.is_set() {
            faults.push(name.required("name is not specified"));
        } else if !identifier {
            faults.push(name.invalid("name is not a valid CEL identifier"));
        }
        faults.extend(expression(&variable.at("expression")));
    }
    faults
}

fn check_policy_binding(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = spec.at("policyName").name(subdomain);
    faults.extend(check_resources(&spec.at("matchResources")));
    let actions = spec.at("validationActions");
    let all = actions.items();
    if all.is_empty() {
        faults.push(actions.required(""));
    }
    let known = |at: &At<'_>| at.one_of(&["Audit", "Deny", "Warn"]);
    faults.extend(all.iter().filter_map(known));
    faults.extend(unique(all.iter().cloned()));
    let has = |wanted: &str| all.iter().any(|one| one.text() == wanted);
    if has("Deny") && has("Warn") {
        let words = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        faults.push(actions.invalid(words));
    }
    faults.extend(check_param_ref(&spec.at("paramRef")));
    faults
}

fn check_param_ref(reference: &At<'_>) -> Vec<Fault> {
    if !reference.is_present() {
        return Vec::new();
    }
    let (name, selector) = (reference.at("name"), reference.at("selector"));
    let mut faults = Vec::new();
    match (name.is_set(), selector.is_present()) {
        (true, true) => {
            faults.push(name.forbidden("name and selector are mutually exclusive"));
        }
        (false, false) => {
            faults.push(reference.required("one of name or selector must be specified"))
        }
        _ => {}
    }
    let missing = reference.at("parameterNotFoundAction");
    match missing.is_set() {
        true => faults.extend(missing.one_of(&["Allow", "Deny"])),
        false => faults.push(missing.required("")),
    }
    faults
}
