//! Who may call: the plugins apikey and rbac, from object to verdict.

use crate::fixture::{APIKEY, RBAC, World, allowed, attributes, check, denied, headers, scope};
use http::{HeaderMap, HeaderName, HeaderValue};
use osier_policy::HeaderOperation;
use serde_json::json;

/// `printf %s secret | sha256sum`
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

#[test]
fn a_known_key_passes_and_its_holder_is_named() {
    let world = World::new();
    let config = json!({"keys": [{"sha256": SECRET, "consumer": "acme", "apis": ["reviews.default.*"], "operations": ["POST /reviews/*"]}]});
    let plugin = world.load("keys", APIKEY, json!({"config": config}));
    let spec = json!({"actions": [{"plugin": "keys", "template": "apikey"}]});
    let set = world.set(&[&plugin], &spec);
    let known = headers(&[("x-api-key", "secret"), ("x-consumer", "initech")]);
    let approval = allowed(check(&set, &known));
    let named = HeaderOperation::Set(
        HeaderName::from_static("x-consumer"),
        HeaderValue::from_static("acme"),
    );
    let hidden = HeaderOperation::Remove(HeaderName::from_static("x-api-key"));
    assert_eq!(approval.request_headers, [named, hidden]);
    let unknown = denied(check(&set, &headers(&[("x-api-key", "Secret")])));
    let challenge = &unknown.headers[0];
    assert_eq!(
        (unknown.status, challenge.0.as_str(), challenge.1.as_bytes()),
        (401, "www-authenticate", &b"ApiKey realm=\"osier\""[..])
    );
    assert_eq!(denied(check(&set, &HeaderMap::new())).status, 401);
    let mut other = attributes(&known);
    other.request.path = "/ratings/0";
    let denial = denied(set.check(&scope(), &other));
    assert_eq!(denial.status, 403);
    assert!(
        denial.reason.contains("POST /ratings/0"),
        "{}",
        denial.reason
    );
}

#[test]
fn a_role_allows_what_its_rules_say_to_whom_its_bindings_name() {
    let world = World::new();
    let config = json!({
        "roles": [{"name": "editor", "rules": [{"services": ["reviews"], "namespaces": ["default"], "methods": ["POST"], "paths": ["/reviews/*"]}]}],
        "bindings": [{"role": "editor", "users": ["cluster.local/ns/shop/*"], "groups": ["staff"]}],
        "roleHeader": "x-role",
    });
    let plugin = world.load("roles", RBAC, json!({"config": config}));
    let groups = "request.headers['x-groups'].orValue('').split(',')";
    let spec = json!({"actions": [{"plugin": "roles", "template": "authorization", "fields": {"subject.groups": groups}}]});
    let set = world.set(&[&plugin], &spec);
    let nothing = HeaderMap::new();
    // Without fields the user is the caller's verified identity.
    let approval = allowed(check(&set, &nothing));
    let role = HeaderOperation::Set(
        HeaderName::from_static("x-role"),
        HeaderValue::from_static("editor"),
    );
    assert_eq!(approval.request_headers, [role]);
    let mut stranger = attributes(&nothing);
    stranger.source.principal = Some("cluster.local/ns/web/sa/web");
    let denial = denied(set.check(&scope(), &stranger));
    assert_eq!(
        denial.reason,
        "no role of cluster.local/ns/web/sa/web allows POST /reviews/0 of reviews.default"
    );
    let staff = headers(&[("x-groups", "guests,staff")]);
    let mut member = attributes(&staff);
    member.source.principal = None;
    allowed(set.check(&scope(), &member));
    member.request.method = "DELETE";
    assert_eq!(denied(set.check(&scope(), &member)).status, 403);
}

#[test]
fn a_wrong_rule_is_refused_with_its_path() {
    let world = World::new();
    let config = json!({"roles": [{"name": "r", "rules": [{"path": ["/"]}]}], "bindings": []});
    let error = world.try_load("roles", RBAC, json!({"config": config}));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("spec.config.roles[0].rules[0].path"),
        "{error}"
    );
    let config = json!({"keys": [{"sha256": "secret", "consumer": "acme"}]});
    let error = world.try_load("keys", APIKEY, json!({"config": config}));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("spec.config.keys[0].sha256"), "{error}");
}
