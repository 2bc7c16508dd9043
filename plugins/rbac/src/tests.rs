//! Who may do what, and what a wrong configuration is told.
#![expect(clippy::unwrap_used, reason = "tests")]

use osier_plugin::export::make;
use osier_plugin::serde_json::{Value as Json, json};
use osier_plugin::types::{Action, Subject, Value};

use super::*;

fn question(user: &str, groups: &[&str], method: &str, path: &str) -> AuthorizationInstance {
    AuthorizationInstance {
        subject: Subject {
            user: user.into(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            properties: vec![
                ("tier".into(), Value::Integer(2)),
                ("gone".into(), Value::Absent),
            ],
        },
        action: Action {
            namespace: "shop".into(),
            service: "reviews".into(),
            method: method.into(),
            path: path.into(),
            properties: vec![("region".into(), Value::Text("eu-north".into()))],
        },
    }
}

fn rbac(rule: &Json, binding: &Json) -> Rbac {
    let mut binding = binding.clone();
    binding["role"] = json!("r");
    let config = json!({"roles": [{"name": "r", "rules": [rule]}], "bindings": [binding]});
    make(&config.to_string()).unwrap()
}

#[test]
fn a_rule_fits_if_everything_that_it_names_fits() {
    let everybody = json!({"everybody": true});
    for (rule, passes) in [
        (json!({}), true),
        (json!({"methods": ["GET", "HEAD"]}), true),
        (json!({"methods": ["POST"]}), false),
        (
            json!({"paths": ["/reviews/*"], "services": ["reviews"], "namespaces": ["sh*"]}),
            true,
        ),
        (json!({"paths": ["/reviews"]}), false),
        (json!({"paths": ["*"], "notPaths": ["*/1"]}), false),
        (json!({"services": ["ratings"]}), false),
        (json!({"namespaces": ["*op"], "methods": ["*"]}), true),
        (json!({"properties": {"region": ["us-*", "eu-*"]}}), true),
        (json!({"properties": {"region": ["us-*"]}}), false),
        (json!({"properties": {"planet": ["*"]}}), false),
    ] {
        let decision = rbac(&rule, &everybody).check(&question("", &[], "GET", "/reviews/1"));
        assert_eq!(!decision.is_denied(), passes, "{rule}");
    }
}

#[test]
fn a_binding_includes_users_groups_and_those_with_its_properties() {
    for (binding, alice, staff, nobody) in [
        (json!({"users": ["alice"]}), true, false, false),
        (json!({"users": ["*"]}), true, true, false),
        (json!({"groups": ["staff"]}), false, true, false),
        (
            json!({"users": ["alice"], "groups": ["st*"]}),
            true,
            true,
            false,
        ),
        (json!({"everybody": true}), true, true, true),
        (json!({"properties": {"tier": ["2"]}}), true, true, true),
        (
            json!({"users": ["*"], "properties": {"tier": ["1", "2"]}}),
            true,
            true,
            false,
        ),
        (
            json!({"users": ["*"], "properties": {"tier": ["3"]}}),
            false,
            false,
            false,
        ),
        (
            json!({"everybody": true, "properties": {"gone": ["*"]}}),
            false,
            false,
            false,
        ),
    ] {
        let rbac = rbac(&json!({}), &binding);
        for (user, groups, passes) in [
            ("alice", &[][..], alice),
            ("bob", &["staff"][..], staff),
            ("", &[][..], nobody),
        ] {
            let decision = rbac.check(&question(user, groups, "GET", "/"));
            assert_eq!(!decision.is_denied(), passes, "{binding} {user:?}");
        }
    }
}

#[test]
fn another_role_may_allow_what_the_first_does_not() {
    let config = json!({
        "roles": [
            {"name": "reader", "rules": [{"methods": ["GET"]}]},
            {"name": "writer", "rules": [{"methods": ["PUT"]}, {"methods": ["DELETE"], "paths": ["/drafts/*"]}]},
        ],
        "bindings": [{"role": "reader", "everybody": true}, {"role": "writer", "users": ["alice"]}],
    });
    let rbac: Rbac = make(&config.to_string()).unwrap();
    for (user, method, path, passes) in [
        ("alice", "GET", "/", true),
        ("alice", "PUT", "/", true),
        ("alice", "DELETE", "/drafts/1", true),
        ("alice", "DELETE", "/", false),
        ("bob", "PUT", "/", false),
        ("", "GET", "/", true),
    ] {
        let decision = rbac.check(&question(user, &[], method, path));
        assert_eq!(!decision.is_denied(), passes, "{user} {method} {path}");
    }
}

#[test]
fn a_wrong_configuration_is_named_by_its_place() {
    let role = json!({"name": "r", "rules": [{}]});
    for (config, place) in [
        (
            json!({"roles": [role], "bindings": [{"role": "x", "everybody": true}]}),
            "bindings[0].role: there is no role `x`; there are: r",
        ),
        (
            json!({"roles": [role], "bindings": [{"role": "r"}]}),
            "bindings[0]: names nobody",
        ),
        (
            json!({"roles": [role, role], "bindings": []}),
            "roles[1].name",
        ),
        (
            json!({"roles": [role], "bindings": [], "status": 200}),
            "status",
        ),
        (
            json!({"roles": [{"name": "r", "rules": [{"path": ["/"]}]}], "bindings": []}),
            "path",
        ),
    ] {
        let error = make::<Rbac>(&config.to_string()).err().unwrap();
        assert!(error.contains(place), "{error}");
    }
}
