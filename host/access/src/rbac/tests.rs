//! What rules allow, what may be handed on, whom subjects mean.

use super::*;

fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> Rule {
    Rule {
        verbs: list(verbs),
        api_groups: list(groups),
        resources: list(resources),
        resource_names: list(names),
        non_resource_urls: Vec::new(),
    }
}

fn urls(verbs: &[&str], paths: &[&str]) -> Rule {
    Rule {
        verbs: list(verbs),
        non_resource_urls: list(paths),
        ..Rule::default()
    }
}

fn action<'a>(verb: &'a str, resource: &'a str, subresource: &'a str, name: &'a str) -> Action<'a> {
    Action::Resource {
        verb,
        group: "",
        resource,
        subresource,
        namespace: "n",
        name,
    }
}

#[test]
fn rules_allow_what_they_say() {
    let cases = [
        (
            rule(&["get"], &[""], &["pods"], &[]),
            action("get", "pods", "", "a"),
            true,
        ),
        (
            rule(&["get"], &[""], &["pods"], &[]),
            action("list", "pods", "", ""),
            false,
        ),
        (
            rule(&["get"], &["apps"], &["pods"], &[]),
            action("get", "pods", "", "a"),
            false,
        ),
        (
            rule(&["get"], &[""], &["pods"], &[]),
            action("get", "pods", "log", "a"),
            false,
        ),
        (
            rule(&["get"], &[""], &["pods/log"], &[]),
            action("get", "pods", "log", "a"),
            true,
        ),
        (
            rule(&["get"], &[""], &["pods/log"], &[]),
            action("get", "pods", "", "a"),
            false,
        ),
        (
            rule(&["get"], &[""], &["*/log"], &[]),
            action("get", "pods", "log", "a"),
            true,
        ),
        (
            rule(&["*"], &["*"], &["*"], &[]),
            action("get", "pods", "log", "a"),
            true,
        ),
        (
            rule(&["get"], &[""], &["pods"], &["a"]),
            action("get", "pods", "", "a"),
            true,
        ),
        (
            rule(&["get"], &[""], &["pods"], &["a"]),
            action("get", "pods", "", "b"),
            false,
        ),
        (
            rule(&["create"], &[""], &["pods"], &["a"]),
            action("create", "pods", "", ""),
            false,
        ),
        (
            urls(&["get"], &["/*"]),
            action("get", "pods", "", "a"),
            false,
        ),
    ];
    for (rule, action, expected) in cases {
        assert_eq!(rule.allows(&action), expected, "{rule:?} {action:?}");
    }
    let path = |path| Action::Url { verb: "get", path };
    assert!(urls(&["get"], &["/healthz/*"]).allows(&path("/healthz/store")));
    assert!(!urls(&["get"], &["/healthz"]).allows(&path("/healthz/store")));
    assert!(!urls(&["post"], &["/healthz"]).allows(&path("/healthz")));
}

#[test]
fn nobody_hands_on_more_than_they_have() {
    let held = [
        rule(&["get", "list"], &[""], &["pods", "*/status"], &[]),
        rule(&["get"], &[""], &["secrets"], &["mine"]),
        urls(&["get"], &["/metrics/*"]),
    ];
    let given = [
        rule(&["get"], &[""], &["pods"], &[]),
        rule(&["list"], &[""], &["pods"], &["one"]),
        rule(&["get"], &[""], &["nodes/status"], &[]),
        rule(&["get"], &[""], &["secrets"], &["mine"]),
        urls(&["get"], &["/metrics/a"]),
        urls(&["get"], &["/metrics/*"]),
    ];
    assert_eq!(uncovered(&held, &given), []);
    let refused = [
        rule(&["*"], &[""], &["pods"], &[]),
        rule(&["get"], &["*"], &["pods"], &[]),
        rule(&["get"], &[""], &["*"], &[]),
        rule(&["get"], &[""], &["secrets"], &[]),
        rule(&["get"], &[""], &["secrets"], &["yours"]),
        urls(&["get"], &["/*"]),
    ];
    assert_eq!(uncovered(&held, &refused).len(), refused.len());
    let partly = [rule(&["get", "delete"], &[""], &["pods"], &[])];
    assert_eq!(
        uncovered(&held, &partly),
        [rule(&["delete"], &[""], &["pods"], &[])]
    );
    let all = [rule(&["*"], &["*"], &["*"], &[]), urls(&["*"], &["*"])];
    assert_eq!(uncovered(&all, &refused), []);
}

#[test]
fn subjects_mean_users_groups_and_accounts() {
    let subject = |kind: &str, name: &str, namespace: &str| Subject {
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    };
    let groups = list(&["dev"]);
    let robot = "system:serviceaccount:n:robot";
    let cases = [
        (subject("User", "ann", ""), "ann", "", true),
        (subject("User", "dev", ""), "ann", "", false),
        (subject("Group", "dev", ""), "ann", "", true),
        (subject("ServiceAccount", "robot", "n"), robot, "", true),
        (subject("ServiceAccount", "robot", ""), robot, "n", true),
        (subject("ServiceAccount", "robot", ""), robot, "", false),
        (subject("ServiceAccount", "robot", "m"), robot, "n", false),
        (subject("User", robot, ""), robot, "", true),
    ];
    for (subject, user, home, expected) in cases {
        assert_eq!(
            subject.means(user, &groups, home),
            expected,
            "{subject:?} {user}"
        );
    }
}
