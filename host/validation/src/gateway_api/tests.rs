//! What the Gateway API's definitions refuse is refused, each where it is broken.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use crate::{validate_create, validate_update};
use osier_api::resources::gateway_api::{GATEWAY_CLASSES, GATEWAYS, HTTP_ROUTES, REFERENCE_GRANTS};
use osier_api::{Object, Resource, defaults, schema};

fn object(resource: &Resource, spec: Value) -> Object {
    let mut value = json!({"metadata": {"name": "x"}, "spec": spec});
    if resource.namespaced {
        value["metadata"]["namespace"] = "n".into();
    }
    let mut object = Object::from_value(value).unwrap();
    defaults::apply(resource, &mut object);
    object
}

fn faults(resource: &Resource, spec: Value) -> Vec<String> {
    let object = object(resource, spec);
    let mut all = schema::check(resource, &object);
    all.extend(validate_create(resource, &object));
    all.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn finds(resource: &Resource, spec: Value, expected: &[&str]) {
    let found = faults(resource, spec);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(expected),
            "{found:?} should begin with {expected:?}"
        );
    }
}

fn rule(rule: Value) -> Value {
    json!({"rules": [rule]})
}

#[test]
fn defaults_are_those_of_the_definitions() {
    let route = object(
        &HTTP_ROUTES,
        json!({"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": [{"name": "a", "port": 80}],
        "filters": [{"type": "RequestRedirect", "requestRedirect": {}}]}]}),
    );
    let rule = &route.get(&["spec", "rules"]).unwrap()[0];
    assert_eq!(
        rule["matches"],
        json!([{"path": {"type": "PathPrefix", "value": "/"}}])
    );
    assert_eq!(
        rule["backendRefs"][0],
        json!({"group": "", "kind": "Service", "name": "a", "port": 80, "weight": 1})
    );
    assert_eq!(rule["filters"][0]["requestRedirect"]["statusCode"], 302);
    let parent = &route.get(&["spec", "parentRefs"]).unwrap()[0];
    assert_eq!(
        *parent,
        json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g"})
    );
    let gateway = object(
        &GATEWAYS,
        json!({"gatewayClassName": "osier", "listeners": [{"name": "a", "port": 80, "protocol": "HTTP"}]}),
    );
    let listener = &gateway.get(&["spec", "listeners"]).unwrap()[0];
    assert_eq!(
        listener["allowedRoutes"],
        json!({"namespaces": {"from": "Same"}})
    );
}

#[test]
fn gateways() {
    let gateway = |listeners: Value| json!({"gatewayClassName": "osier", "listeners": listeners});
    let refs = json!({"certificateRefs": [{"name": "c"}]});
    finds(
        &GATEWAYS,
        gateway(
            json!([{"name": "a", "port": 80, "protocol": "HTTP", "hostname": "*.a.b"},
        {"name": "b", "port": 443, "protocol": "HTTPS", "tls": refs}, {"name": "c", "port": 443, "protocol": "TLS", "tls": {"mode": "Passthrough"}}]),
        ),
        &[],
    );
    finds(
        &GATEWAYS,
        gateway(json!([
            {"name": "a", "port": 80, "protocol": "HTTP", "tls": refs},
            {"name": "a", "port": 80, "protocol": "HTTP", "hostname": "1.2.3.4"},
            {"name": "c", "port": 443, "protocol": "HTTPS", "tls": {"mode": "Passthrough"}},
            {"name": "d", "port": 444, "protocol": "HTTPS", "tls": {}},
            {"name": "e", "port": 445, "protocol": "TCP", "hostname": "a.b"},
            {"name": "f", "port": 445, "protocol": "TCP", "hostname": "a.b", "allowedRoutes": {"namespaces": {"from": "Selector"}}}])),
        &[
            "spec.listeners[0].tls: Forbidden: tls must not be specified",
            "spec.listeners[1].hostname: Invalid value: \"1.2.3.4\"",
            "spec.listeners[2].tls.mode: Invalid value: \"Passthrough\": tls mode must be Terminate",
            "spec.listeners[3].tls.certificateRefs: Required value: certificateRefs or options",
            "spec.listeners[4].hostname: Forbidden",
            "spec.listeners[5].hostname: Forbidden",
            "spec.listeners[5].allowedRoutes.namespaces.selector: Required value",
            "spec.listeners[1].name: Duplicate value",
            "spec.listeners[5]: Invalid value",
        ],
    );
    finds(
        &GATEWAYS,
        gateway(json!([])),
        &["spec.listeners: Invalid value"],
    );
}

#[test]
fn routes() {
    finds(
        &HTTP_ROUTES,
        json!({"hostnames": ["a.b", "*.a.b"], "parentRefs": [{"name": "g"}, {"name": "g", "port": 80}]}),
        &[],
    );
    finds(
        &HTTP_ROUTES,
        rule(
            json!({"matches": [{"path": {"value": "foo"}}, {"path": {"type": "Exact", "value": "/a//b"}},
            {"path": {"type": "RegularExpression", "value": "("}}, {"headers": [{"name": "a b", "value": "x"}], "method": "get"}]}),
        ),
        &[
            "spec.rules[0].matches[3].method: Unsupported value: \"get\"",
            "spec.rules[0].matches[0].path.value: Invalid value: \"foo\": value must be an absolute path",
            "spec.rules[0].matches[1].path.value: Invalid value",
            "spec.rules[0].matches[2].path.value: Invalid value",
            "spec.rules[0].matches[3].headers[0].name: Invalid value",
        ],
    );
    let redirect = json!({"type": "RequestRedirect", "requestRedirect": {}});
    let rewrite = json!({"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}});
    finds(
        &HTTP_ROUTES,
        rule(
            json!({"matches": [{"path": {"type": "Exact", "value": "/a"}}], "filters": [redirect, rewrite, redirect, {"type": "CORS", "urlRewrite": {}}],
            "backendRefs": [{"name": "a"}]}),
        ),
        &[
            "spec.rules[0].filters[3].urlRewrite: Forbidden",
            "spec.rules[0].filters[3].cors: Required value",
            "spec.rules[0].filters: Invalid value",
            "spec.rules[0].backendRefs: Forbidden",
            "spec.rules[0].filters[1].urlRewrite.path.type: Invalid value",
            "spec.rules[0].backendRefs[0].port: Required value: must have port for Service reference",
        ],
    );
    finds(
        &HTTP_ROUTES,
        rule(
            json!({"timeouts": {"request": "1s", "backendRequest": "2s"}, "retry": {"backoff": "x"}}),
        ),
        &[
            "spec.rules[0].retry.backoff: Invalid value",
            "spec.rules[0].timeouts.backendRequest: Invalid value",
        ],
    );
}

#[test]
fn sessions() {
    let of = |session: Value| rule(json!({"sessionPersistence": session}));
    let fine = json!({"absoluteTimeout": "1h", "cookieConfig": {"lifetimeType": "Permanent"}});
    finds(&HTTP_ROUTES, of(fine), &[]);
    let at = "spec.rules[0].sessionPersistence";
    for (session, place) in [
        (
            json!({"cookieConfig": {"lifetimeType": "Permanent"}}),
            "absoluteTimeout",
        ),
        (
            json!({"type": "Header", "cookieConfig": {}}),
            "cookieConfig",
        ),
        (json!({"idleTimeout": "soon"}), "idleTimeout"),
        (json!({"type": "Query"}), "type"),
    ] {
        finds(&HTTP_ROUTES, of(session), &[&format!("{at}.{place}")]);
    }
}

#[test]
fn classes_and_grants() {
    finds(&GATEWAY_CLASSES, json!({"controllerName": "a.b/c"}), &[]);
    finds(
        &GATEWAY_CLASSES,
        json!({"controllerName": "abc"}),
        &["spec.controllerName: Invalid value"],
    );
    let [old, new] =
        ["a.b/c", "a.b/d"].map(|name| object(&GATEWAY_CLASSES, json!({"controllerName": name})));
    let found = validate_update(&GATEWAY_CLASSES, &old, &new);
    let immutable = |fault: &osier_api::Fault| {
        fault
            .to_string()
            .starts_with("spec.controllerName: Invalid value: \"a.b/d\": field is immutable")
    };
    assert!(found.iter().any(immutable), "{found:?}");
    let from =
        json!([{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "a"}]);
    finds(
        &REFERENCE_GRANTS,
        json!({"from": from, "to": [{"group": "", "kind": "Service"}]}),
        &[],
    );
    finds(
        &REFERENCE_GRANTS,
        json!({"from": from, "to": []}),
        &["spec.to: Invalid value"],
    );
}
