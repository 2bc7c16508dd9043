//! The roles and bindings that are there from the start (`roles/README.md`).

use crate::rbac::{Rule, uncovered};
use osier_api::{Object, resources};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::rules::list;

const SOURCE: &str = include_str!("../roles/bootstrap.yaml");
/// A role or binding with this annotation set to `false` is left as people made it.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
/// The label by which upstream marks what is there from the start.
const BOOTSTRAPPING: &str = "kubernetes.io/bootstrapping";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    roles: Vec<Role>,
    bindings: Vec<Binding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Role {
    name: String,
    /// Labels that are `true`.
    labels: Vec<String>,
    /// The labels of the roles that it is the sum of.
    aggregate: Vec<String>,
    rules: Vec<Rule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    role: String,
    groups: Vec<String>,
}

fn source() -> Source {
    match serde_saphyr::from_str(SOURCE) {
        Ok(source) => source,
        Err(error) => {
            tracing::error!(%error, "the roles of the start cannot be read");
            Source::default()
        }
    }
}

fn marked(mut object: Object) -> Object {
    object.set(
        &["metadata", "labels", BOOTSTRAPPING],
        json!("rbac-defaults"),
    );
    object.set(&["metadata", "annotations", AUTOUPDATE], json!("true"));
    object
}

/// The roles.
pub fn roles() -> Vec<Object> {
    let object = |role: Role| {
        let mut object = marked(Object::new(&resources::CLUSTER_ROLES, "", &role.name));
        for label in &role.labels {
            object.set(&["metadata", "labels", label], json!("true"));
        }
        if !role.aggregate.is_empty() {
            let selectors: Vec<Value> = role
                .aggregate
                .iter()
                .map(|label| json!({"matchLabels": {label: "true"}}))
                .collect();
            object.set(
                &["aggregationRule", "clusterRoleSelectors"],
                json!(selectors),
            );
        }
        object.set(&["rules"], json!(role.rules));
        object
    };
    source().roles.into_iter().map(object).collect()
}

/// The bindings.
pub fn bindings() -> Vec<Object> {
    let object = |binding: Binding| {
        let name = &binding.role;
        let mut object = marked(Object::new(&resources::CLUSTER_ROLE_BINDINGS, "", name));
        let group = resources::CLUSTER_ROLES.group;
        let subjects: Vec<Value> = binding
            .groups
            .iter()
            .map(|name| json!({"apiGroup": group, "kind": "Group", "name": name}))
            .collect();
        object.set(
            &["roleRef"],
            json!({"apiGroup": group, "kind": "ClusterRole", "name": name}),
        );
        object.set(&["subjects"], json!(subjects));
        object
    };
    source().bindings.into_iter().map(object).collect()
}

/// The rules of a stored role with those that a newer version of it has beside them; `None` if it has them all, or is
/// not to be touched.
pub fn missing_rules(stored: &Object, wanted: &Object) -> Option<Value> {
    let aggregated = wanted.get(&["aggregationRule"]).is_some();
    if aggregated || stored.annotation(AUTOUPDATE) == Some("false") {
        return None;
    }
    let (mut rules, wanted) = (list::<Rule>(stored, &["rules"]), list(wanted, &["rules"]));
    let missing: Vec<Rule> = wanted
        .into_iter()
        .filter(|rule| !uncovered(&rules, std::slice::from_ref(rule)).is_empty())
        .collect();
    if missing.is_empty() {
        return None;
    }
    rules.extend(missing);
    Some(json!(rules))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_binding_has_its_role_and_every_role_its_rules() {
        let names: Vec<String> = roles().iter().map(|role| role.name().to_owned()).collect();
        for binding in bindings() {
            assert!(
                names.contains(&binding.name().to_owned()),
                "{}",
                binding.name()
            );
        }
        for role in roles() {
            let rules = list::<Rule>(&role, &["rules"]);
            let empty = rules.is_empty() && role.get(&["aggregationRule"]).is_none();
            assert!(!empty, "{}", role.name());
            assert!(
                rules.iter().all(|rule| !rule.verbs.is_empty()),
                "{}",
                role.name()
            );
        }
        assert!(names.contains(&"view".to_owned()));
    }

    #[test]
    fn a_role_gets_what_it_lacks_unless_people_own_it() {
        let wanted = roles()
            .into_iter()
            .find(|role| role.name() == "system:node")
            .unwrap();
        assert_eq!(missing_rules(&wanted, &wanted), None);
        let mut old = wanted.clone();
        old.set(
            &["rules"],
            json!([{"apiGroups": ["x"], "resources": ["y"], "verbs": ["get"]}]),
        );
        let updated = missing_rules(&old, &wanted).unwrap();
        let count = list::<Rule>(&wanted, &["rules"]).len();
        assert_eq!(updated.as_array().unwrap().len(), count + 1);
        old.set(&["metadata", "annotations", AUTOUPDATE], json!("false"));
        assert_eq!(missing_rules(&old, &wanted), None);
    }
}
