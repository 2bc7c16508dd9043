//! Who gets which names.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn definition(plural: &str, kind: &str, age: u32) -> Object {
    Object::from_value(json!({
        "metadata": {"name": format!("{plural}.stable.example.com"), "creationTimestamp": format!("2025-01-01T00:00:{age:02}Z")},
        "spec": {"group": "stable.example.com", "names": {"plural": plural, "singular": kind.to_lowercase(),
            "kind": kind, "listKind": format!("{kind}List"), "shortNames": ["ct"]}},
    }))
    .unwrap()
}

fn condition(definition: &Object, name: &str) -> (String, String) {
    let all = definition
        .get(&["status", "conditions"])
        .unwrap()
        .as_array()
        .unwrap();
    let found = all.iter().find(|one| one["type"] == name).unwrap();
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    (text("status"), text("reason"))
}

#[test]
fn free_names_are_accepted_and_the_kind_is_established() {
    let settled = settle(vec![definition("crontabs", "CronTab", 1)], NOW);
    let one = &settled[0];
    assert!(one.served && one.changed);
    assert_eq!(
        condition(&one.definition, "NamesAccepted"),
        ("True".into(), "NoConflicts".into())
    );
    assert_eq!(
        condition(&one.definition, "Established"),
        ("True".into(), "InitialNamesAccepted".into())
    );
    assert_eq!(
        one.definition.text(&["status", "acceptedNames", "plural"]),
        "crontabs"
    );
    let again = settle(vec![one.definition.clone()], "2027-01-01T00:00:00Z");
    assert!(!again[0].changed, "what is settled stays as it is");
}

#[test]
fn who_came_first_keeps_a_name_and_the_other_gets_it_when_it_is_free() {
    let (first, mut second) = (
        definition("crontabs", "CronTab", 1),
        definition("tabs", "Tab", 2),
    );
    let settled = settle(vec![second.clone(), first.clone()], NOW);
    assert_eq!(settled[0].definition.name(), "crontabs.stable.example.com");
    let refused = &settled[1];
    assert!(!refused.served);
    assert_eq!(
        condition(&refused.definition, "NamesAccepted"),
        ("False".into(), "ShortNamesConflict".into())
    );
    assert_eq!(
        condition(&refused.definition, "Established"),
        ("False".into(), "NotAccepted".into())
    );
    second = refused.definition.clone();
    let alone = settle(vec![second], NOW);
    assert!(alone[0].served);
}

#[test]
fn an_established_kind_stays_served_when_it_asks_for_a_taken_name() {
    let mut both: Vec<Object> = settle(vec![definition("crontabs", "CronTab", 1)], NOW)
        .into_iter()
        .map(|one| one.definition)
        .collect();
    let mut other = definition("tabs", "Tab", 2);
    other.set(&["spec", "names", "shortNames"], json!(["tb"]));
    both.push(other);
    let mut both: Vec<Object> = settle(both, NOW)
        .into_iter()
        .map(|one| one.definition)
        .collect();
    both[1].set(&["spec", "names", "shortNames"], json!(["ct"]));
    let settled = settle(both, NOW);
    assert!(settled[1].served);
    assert_eq!(
        condition(&settled[1].definition, "NamesAccepted").0,
        "False"
    );
    assert_eq!(
        settled[1]
            .definition
            .get(&["status", "acceptedNames", "shortNames"]),
        Some(&json!(["tb"]))
    );
}

#[test]
fn a_kind_of_ours_is_established_and_not_served_twice() {
    let ours = |plural: &str, kind: &str| {
        Object::from_value(json!({"metadata": {"name": plural}, "spec": {"group": "gateway.networking.k8s.io",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")}}})).unwrap()
    };
    let settled = settle(vec![ours("gateways", "Gateway")], NOW);
    assert!(!settled[0].served);
    assert_eq!(condition(&settled[0].definition, "Established").0, "True");
    let settled = settle(vec![ours("doors", "Gateway")], NOW);
    assert_eq!(
        condition(&settled[0].definition, "NamesAccepted").1,
        "SingularConflict"
    );
}
