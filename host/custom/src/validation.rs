//! The rules for definitions, in upstream's words
//! (`apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go`).

mod structural;
mod version;

use std::collections::BTreeSet;

use osier_admission::client_config;
use osier_api::{Fault, Object};
use osier_validation::{label_1035, subdomain};
use serde_json::{Value, json};

use crate::names::APPROVAL;
use crate::schema::rules;

const ONE_STORED: &str = "must have exactly one version marked as storage version";
/// Larger than any schema in use.
const DEEPEST: usize = 64;

/// Every fault of a definition; `old` is what it is made from, if it is not new.
pub fn validate(old: Option<&Object>, new: &Object) -> Vec<Fault> {
    let mut faults = Vec::new();
    group(new, &mut faults);
    names(new, &mut faults);
    scope(new, &mut faults);
    // What did not change was judged when it came.
    let said = |object: &Object| object.get(&["spec", "versions"]).cloned();
    if old.is_none_or(|old| said(old) != said(new)) {
        versions(new, &mut faults);
    }
    conversion(new, &mut faults);
    let wanted = format!(
        "{}.{}",
        text(new, &["spec", "names", "plural"]),
        text(new, &["spec", "group"])
    );
    if new.name() != wanted {
        let words = "must be spec.names.plural+\".\"+spec.group";
        faults.push(Fault::invalid("metadata.name", new.name(), words));
    }
    if let Some(old) = old {
        unchanged(old, new, &mut faults);
    }
    stored_versions(new, &mut faults);
    faults
}

/// What the author should know though it is no fault.
pub fn warnings(definition: &Object) -> Vec<String> {
    let (group, plural) = (
        text(definition, &["spec", "group"]),
        text(definition, &["spec", "names", "plural"]),
    );
    if let Some(ours) = crate::built_in(group, plural) {
        return vec![format!(
            "{plural}.{group} is built into Osier: this definition is kept, and the built-in {} goes on being served",
            ours.kind
        )];
    }
    let mut unknown = Vec::new();
    for (index, version) in list(definition, &["spec", "versions"]).iter().enumerate() {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        rules::unknown(&version["schema"]["openAPIV3Schema"], &path, &mut unknown);
    }
    let warning = |(place, function)| {
        format!(
            "{place}: the rule is kept and not evaluated: the function {function} is not known to this version of Osier"
        )
    };
    unknown.into_iter().map(warning).collect()
}

fn text<'a>(object: &'a Object, path: &[&str]) -> &'a str {
    object.text(path)
}

fn group(new: &Object, faults: &mut Vec<Fault>) {
    let group = text(new, &["spec", "group"]);
    if group.is_empty() {
        faults.push(Fault::required("spec.group", ""));
        return;
    }
    let words = subdomain(group);
    if words.is_empty() && !group.contains('.') {
        faults.push(Fault::invalid(
            "spec.group",
            group,
            "should be a domain with at least one dot",
        ));
    }
    faults.extend(
        words
            .into_iter()
            .map(|words| Fault::invalid("spec.group", group, words)),
    );
    approval(new, group, faults);
}

/// Groups of Kubernetes' own say on whose word they are used.
fn approval(new: &Object, group: &str, faults: &mut Vec<Fault>) {
    let mut own = ["k8s.io", "kubernetes.io"].into_iter();
    let protected = own.any(|own| group == own || group.ends_with(&format!(".{own}")));
    if protected && new.annotation(APPROVAL).is_none_or(str::is_empty) {
        let field = format!("metadata.annotations[{APPROVAL}]");
        let words = format!(
            "protected groups must have approval annotation {APPROVAL:?}, see https://github.com/kubernetes/enhancements/pull/1111"
        );
        faults.push(Fault::required(field, words));
    }
}

fn names(new: &Object, faults: &mut Vec<Fault>) {
    for field in ["plural", "singular", "kind", "listKind"] {
        name(new, field, faults);
    }
    let name = |field: &str| text(new, &["spec", "names", field]);
    if !name("kind").is_empty() && name("kind") == name("listKind") {
        let (field, words) = (
            "spec.names.listKind",
            "kind and listKind may not be the same",
        );
        faults.push(Fault::invalid(field, name("listKind"), words));
    }
    for field in ["shortNames", "categories"] {
        for (index, value) in list(new, &["spec", "names", field]).iter().enumerate() {
            let (path, value) = (format!("spec.names.{field}[{index}]"), value.as_str());
            let value = value.unwrap_or("");
            let wrong = label_1035(value).into_iter();
            faults.extend(wrong.map(|words| Fault::invalid(&path, value, words)));
        }
    }
}

fn name(new: &Object, field: &str, faults: &mut Vec<Fault>) {
    let (path, value) = (
        format!("spec.names.{field}"),
        text(new, &["spec", "names", field]),
    );
    if value.is_empty() {
        faults.push(Fault::required(path, ""));
        return;
    }
    let kind = matches!(field, "kind" | "listKind");
    let wrong = match kind {
        true => label_1035(&value.to_lowercase()),
        false => label_1035(value),
    };
    let words = |words: String| match kind {
        true => format!("may have mixed case, but should otherwise match: {words}"),
        false => words,
    };
    let wrong = wrong.into_iter().map(words);
    faults.extend(wrong.map(|words| Fault::invalid(&path, value, words)));
}

fn scope(new: &Object, faults: &mut Vec<Fault>) {
    let scopes = ["Cluster", "Namespaced"];
    match text(new, &["spec", "scope"]) {
        "" => faults.push(Fault::required("spec.scope", "")),
        known if scopes.contains(&known) => {}
        other => faults.push(Fault::not_supported("spec.scope", other, &scopes)),
    }
    if new.get(&["spec", "preserveUnknownFields"]) == Some(&json!(true)) {
        let words = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        faults.push(Fault::invalid("spec.preserveUnknownFields", true, words));
    }
}

fn list<'a>(new: &'a Object, path: &[&str]) -> &'a [Value] {
    new.get(path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn versions(new: &Object, faults: &mut Vec<Fault>) {
    const FIELD: &str = "spec.versions";
    let versions = list(new, &["spec", "versions"]);
    if versions.is_empty() {
        faults.push(Fault::required(FIELD, "must have at least one version"));
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        version::check(version, &format!("{FIELD}[{index}]"), faults);
    }
    let names = versions.iter().map(|version| version["name"].as_str());
    let names: Vec<&str> = names.map(Option::unwrap_or_default).collect();
    let unique: BTreeSet<&&str> = names.iter().collect();
    if unique.len() < names.len() {
        let words = "must contain unique version names";
        faults.push(Fault::invalid(FIELD, json!(names), words));
    }
    let stored = versions.iter().filter(|version| version["storage"] == true);
    if stored.count() != 1 {
        faults.push(Fault::invalid(FIELD, json!(names), ONE_STORED));
    }
}

/// Who makes one version of another, if somebody does.
fn conversion(new: &Object, faults: &mut Vec<Fault>) {
    const WEBHOOK: &str = "spec.conversion.webhook";
    let webhook = new.get(&["spec", "conversion", "webhook"]);
    match text(new, &["spec", "conversion", "strategy"]) {
        "" | "None" if webhook.is_some() => {
            let words = "should not be set when strategy is not set to Webhook";
            faults.push(Fault::forbidden(WEBHOOK, words));
        }
        "" | "None" => {}
        "Webhook" => match webhook {
            None => {
                let field = format!("{WEBHOOK}.clientConfig");
                faults.push(Fault::required(
                    field,
                    "required when strategy is set to Webhook",
                ));
            }
            Some(webhook) => converts(webhook, WEBHOOK, faults),
        },
        other => {
            let field = "spec.conversion.strategy";
            faults.push(Fault::not_supported(field, other, &["None", "Webhook"]));
        }
    }
}

fn converts(webhook: &Value, path: &str, faults: &mut Vec<Fault>) {
    let config = format!("{path}.clientConfig");
    match webhook.get("clientConfig").filter(|said| said.is_object()) {
        None => faults.push(Fault::required(
            config,
            "required when strategy is set to Webhook",
        )),
        Some(said) => faults.extend(client_config(said, &config)),
    }
    let field = format!("{path}.conversionReviewVersions");
    let versions = webhook["conversionReviewVersions"].as_array();
    let versions = versions.map_or(&[][..], Vec::as_slice);
    if versions.is_empty() {
        faults.push(Fault::required(field, ""));
    } else if !versions.iter().any(|version| version == "v1") {
        let said = json!(versions);
        faults.push(Fault::invalid(
            field,
            said,
            "must include at least one of v1",
        ));
    }
}

/// What may not change: where objects are, and once they are served what they are.
fn unchanged(old: &Object, new: &Object, faults: &mut Vec<Fault>) {
    let conditions = list(old, &["status", "conditions"]).iter();
    let established = conditions
        .clone()
        .any(|one| one["type"] == "Established" && one["status"] == "True");
    let mut fields: Vec<&[&str]> = vec![&["spec", "group"], &["spec", "names", "plural"]];
    if established {
        fields.extend([&["spec", "scope"][..], &["spec", "names", "kind"]]);
    }
    for path in fields {
        if old.get(path) != new.get(path) {
            let value = new.get(path).cloned().unwrap_or_default();
            faults.push(Fault::immutable(path.join("."), value));
        }
    }
}

fn stored_versions(new: &Object, faults: &mut Vec<Fault>) {
    let known: Vec<&Value> = list(new, &["spec", "versions"])
        .iter()
        .map(|version| &version["name"])
        .collect();
    for (index, stored) in list(new, &["status", "storedVersions"]).iter().enumerate() {
        if !known.contains(&stored) {
            let words = "missing from spec.versions; stored versions must be served or migrated: rewrite the objects, then take it out of status.storedVersions";
            let path = format!("status.storedVersions[{index}]");
            faults.push(Fault::invalid(path, stored.clone(), words));
        }
    }
}

#[cfg(test)]
mod tests;
