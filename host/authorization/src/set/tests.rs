//! Policies as people write them, and what they decide. Where a row has a source, it is a page of
//! <https://istio.io/latest/docs/reference/config/security/>.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use osier_api::Object;
use serde_json::{Value, json};

use super::*;
use crate::facts::{Asked, Caller, Token};
use crate::read::read;

fn policy(namespace: &str, name: &str, spec: Value) -> Policy {
    let (policy, faults) = read(&object(namespace, name, spec));
    assert_eq!(faults, [], "{name}");
    policy
}

fn object(namespace: &str, name: &str, spec: Value) -> Object {
    let metadata = json!({"namespace": namespace, "name": name});
    Object::from_value(json!({"kind": "AuthorizationPolicy", "metadata": metadata, "spec": spec}))
        .unwrap()
}

/// A call that tests change.
struct Call {
    principal: Option<&'static str>,
    address: &'static str,
    remote: &'static str,
    method: &'static str,
    authority: &'static str,
    path: &'static str,
    headers: HeaderMap,
    port: u16,
    server_name: Option<&'static str>,
    raw: bool,
}

impl Call {
    fn new() -> Self {
        Self {
            principal: Some("cluster.local/ns/shop/sa/web"),
            address: "10.0.0.7",
            remote: "203.0.113.9",
            method: "GET",
            authority: "Reviews.shop:9080",
            path: "/reviews/1",
            headers: HeaderMap::new(),
            port: 9080,
            server_name: None,
            raw: false,
        }
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        let name = HeaderName::from_static(name);
        self.headers.append(name, HeaderValue::from_static(value));
        self
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            caller: Caller {
                principal: self.principal,
                address: self.address.parse().ok(),
                remote: self.remote.parse().ok(),
            },
            asked: (!self.raw).then_some(Asked {
                method: self.method,
                authority: self.authority,
                path: self.path,
                headers: &self.headers,
            }),
            address: "10.0.0.8".parse().ok(),
            port: Some(self.port),
            server_name: self.server_name,
            token: None,
        }
    }
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("app".to_owned(), "reviews".to_owned())])
}

/// What policies decide at the workload `reviews` of the namespace `shop`.
fn at_workload(policies: Vec<Policy>, call: &Call) -> Decided {
    let labels = labels();
    let place = Place::Workload {
        namespace: "shop",
        labels: &labels,
        outside: false,
        service: Some(("shop", "reviews")),
    };
    Authorizations::new(policies, "root").decide(&place, &call.facts())
}

fn passes(policies: Vec<Policy>, call: &Call) -> bool {
    matches!(at_workload(policies, call).outcome, Outcome::Allowed(_))
}

/// Whether a policy with one rule that allows lets the call pass.
fn allowed(rule: &Value, call: &Call) -> bool {
    passes(vec![policy("shop", "one", json!({"rules": [rule]}))], call)
}

fn source(source: Value) -> Value {
    json!({"from": [{"source": source}]})
}

fn operation(operation: Value) -> Value {
    json!({"to": [{"operation": operation}]})
}

fn when(key: &str, values: &[&str]) -> Value {
    json!({"when": [{"key": key, "values": values}]})
}

#[test]
fn who_calls_is_asked_in_every_way() {
    let call = Call::new();
    for (rule, wanted) in [
        (
            source(json!({"principals": ["cluster.local/ns/shop/sa/web"]})),
            true,
        ),
        (source(json!({"principals": ["*/sa/web"]})), true),
        (
            source(json!({"principals": ["cluster.local/ns/other/*"]})),
            false,
        ),
        (source(json!({"principals": ["*"]})), true),
        (source(json!({"notPrincipals": ["*/sa/web"]})), false),
        (source(json!({"namespaces": ["shop"]})), true),
        (source(json!({"namespaces": ["sho"]})), false),
        (source(json!({"notNamespaces": ["other"]})), true),
        (source(json!({"serviceAccounts": ["web"]})), true),
        (
            source(json!({"serviceAccounts": ["shop/web", "shop/x"]})),
            true,
        ),
        (source(json!({"serviceAccounts": ["other/web"]})), false),
        (source(json!({"trustDomains": ["cluster.local"]})), true),
        (source(json!({"ipBlocks": ["10.0.0.0/24"]})), true),
        (source(json!({"ipBlocks": ["10.0.0.8"]})), false),
        (source(json!({"notIpBlocks": ["10.0.0.7"]})), false),
        (source(json!({"remoteIpBlocks": ["203.0.113.0/24"]})), true),
        (source(json!({"requestPrincipals": ["*"]})), false),
        (source(json!({"notRequestPrincipals": ["*"]})), true),
        // All lists of one element, any of the elements.
        (
            source(json!({"namespaces": ["shop"], "principals": ["*/sa/api"]})),
            false,
        ),
        (
            json!({"from": [{"source": {"namespaces": ["x"]}}, {"source": {"namespaces": ["shop"]}}]}),
            true,
        ),
        (json!({}), true),
    ] {
        assert_eq!(allowed(&rule, &call), wanted, "{rule}");
    }
    let stranger = Call {
        principal: None,
        ..Call::new()
    };
    for (rule, wanted) in [
        (source(json!({"principals": ["*"]})), false),
        (source(json!({"namespaces": ["shop"]})), false),
        (source(json!({"notNamespaces": ["other"]})), true),
    ] {
        assert_eq!(allowed(&rule, &stranger), wanted, "{rule}");
    }
}

#[test]
fn what_a_verified_token_says_is_asked_in_every_way() {
    let Value::Object(claims) = json!({"groups": ["dev", "ops"], "tier": "gold", "scope": "read write",
        "realm": {"roles": ["admin"]}, "level": 3})
    else {
        unreachable!();
    };
    let (call, labels) = (Call::new(), labels());
    let (audiences, spaced) = (["shop", "bank"].map(str::to_owned), ["scope".to_owned()]);
    let facts = Facts {
        token: Some(Token {
            principal: Some("https://id/alice"),
            audiences: &audiences,
            presenter: Some("web"),
            claims: &claims,
            spaced: &spaced,
        }),
        ..call.facts()
    };
    let place = Place::Workload {
        namespace: "shop",
        labels: &labels,
        outside: false,
        service: None,
    };
    for (rule, wanted) in [
        (source(json!({"requestPrincipals": ["*"]})), true),
        (source(json!({"requestPrincipals": ["https://id/*"]})), true),
        (
            source(json!({"requestPrincipals": ["https://other/*"]})),
            false,
        ),
        (source(json!({"notRequestPrincipals": ["*/alice"]})), false),
        (when("request.auth.principal", &["https://id/alice"]), true),
        (when("request.auth.audiences", &["bank"]), true),
        (when("request.auth.audiences", &["shop,bank"]), false),
        (when("request.auth.presenter", &["web"]), true),
        (when("request.auth.claims[groups]", &["ops"]), true),
        (when("request.auth.claims[groups]", &["qa"]), false),
        (when("request.auth.claims[tier]", &["go*"]), true),
        (when("request.auth.claims[scope]", &["write"]), true),
        (when("request.auth.claims[realm][roles]", &["admin"]), true),
        (when("request.auth.claims[realm]", &["*"]), false),
        (when("request.auth.claims[level]", &["3"]), false),
        (when("request.auth.claims[none]", &["*"]), false),
    ] {
        let one = policy("shop", "one", json!({"rules": [rule]}));
        let outcome = Authorizations::new([one], "root")
            .decide(&place, &facts)
            .outcome;
        assert_eq!(matches!(outcome, Outcome::Allowed(_)), wanted, "{rule}");
    }
}

#[test]
fn what_is_called_is_asked_in_every_way() {
    let call = Call::new();
    for (rule, wanted) in [
        (operation(json!({"methods": ["GET", "HEAD"]})), true),
        (operation(json!({"notMethods": ["GET"]})), false),
        (operation(json!({"paths": ["/reviews/*"]})), true),
        (operation(json!({"paths": ["/reviews"]})), false),
        (operation(json!({"paths": ["/{*}/1"]})), true),
        (operation(json!({"notPaths": ["/reviews/{*}"]})), false),
        (operation(json!({"hosts": ["reviews.shop"]})), true),
        (operation(json!({"hosts": ["REVIEWS.*"]})), true),
        (operation(json!({"hosts": ["reviews.shop:9080"]})), true),
        (operation(json!({"hosts": ["reviews.shop:80"]})), false),
        (operation(json!({"notHosts": ["*.shop"]})), false),
        (operation(json!({"ports": ["80", "9080"]})), true),
        (operation(json!({"notPorts": ["9080"]})), false),
        (
            operation(json!({"methods": ["GET"], "ports": ["80"]})),
            false,
        ),
    ] {
        assert_eq!(allowed(&rule, &call), wanted, "{rule}");
    }
}

#[test]
fn conditions_know_every_attribute_that_istio_documents() {
    let call = Call {
        server_name: Some("reviews.example.com"),
        ..Call::new()
    };
    let call = call
        .header("user-agent", "Mozilla/5")
        .header("x-role", "a")
        .header("x-role", "b");
    for (rule, wanted) in [
        (when("request.headers[User-Agent]", &["Mozilla/*"]), true),
        (when("request.headers[X-Role]", &["b"]), true),
        (when("request.headers[x-none]", &["*"]), false),
        (
            json!({"when": [{"key": "request.headers[x-none]", "notValues": ["*"]}]}),
            true,
        ),
        (when("source.ip", &["10.0.0.0/8"]), true),
        (when("remote.ip", &["203.0.113.9"]), true),
        (when("source.namespace", &["shop"]), true),
        (
            when("source.principal", &["cluster.local/ns/shop/sa/web"]),
            true,
        ),
        (when("source.serviceAccount", &["shop/web"]), true),
        (when("destination.ip", &["10.0.0.8"]), true),
        (when("destination.port", &["9080"]), true),
        (when("connection.sni", &["*.example.com"]), true),
        (when("request.auth.principal", &["*"]), false),
        (when("request.auth.claims[groups]", &["*"]), false),
        (
            json!({"when": [{"key": "source.namespace", "values": ["shop"]}, {"key": "destination.port", "values": ["1"]}]}),
            false,
        ),
    ] {
        assert_eq!(allowed(&rule, &call), wanted, "{rule}");
    }
}

#[test]
fn denials_come_first_and_what_nobody_allows_is_denied() {
    let get = operation(json!({"methods": ["GET"]}));
    let of = |name: &str, action: &str, rules: Value| {
        policy("shop", name, json!({"action": action, "rules": rules}))
    };
    let (allow, deny) = (
        of("a", "ALLOW", json!([get])),
        of("b", "DENY", json!([get])),
    );
    let never = of("c", "DENY", json!([operation(json!({"methods": ["PUT"]}))]));
    let name = |name: &str| Arc::<str>::from(format!("shop/{name}"));
    let call = Call::new();
    let outcome = |policies: Vec<Policy>| at_workload(policies, &call).outcome;
    assert_eq!(outcome(vec![]), Outcome::Allowed(None));
    assert_eq!(outcome(vec![never.clone()]), Outcome::Allowed(None));
    assert_eq!(
        outcome(vec![allow.clone(), never]),
        Outcome::Allowed(Some(name("a")))
    );
    assert_eq!(
        outcome(vec![allow.clone(), deny]),
        Outcome::Denied(name("b"))
    );
    // `{}` denies all, `rules: [{}]` allows all.
    let nothing = policy("shop", "nothing", json!({}));
    assert_eq!(
        outcome(vec![nothing.clone()]),
        Outcome::NotAllowed(vec![name("nothing")])
    );
    assert_eq!(
        outcome(vec![nothing, allow]),
        Outcome::Allowed(Some(name("a")))
    );
    assert_eq!(
        outcome(vec![of("all", "ALLOW", json!([{}]))]),
        Outcome::Allowed(Some(name("all")))
    );
    let noted = at_workload(vec![of("note", "AUDIT", json!([{}]))], &call);
    assert_eq!(
        (noted.outcome, noted.audited),
        (Outcome::Allowed(None), vec![name("note")])
    );
}

#[test]
fn policies_concern_whom_they_name() {
    let deny = |namespace: &str, more: Value| {
        let mut spec = json!({"action": "DENY", "rules": [{}]});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        policy(namespace, "deny", spec)
    };
    let selector = |app: &str| json!({"selector": {"matchLabels": {"app": app}}});
    let target = |kind: &str, name: &str| json!({"targetRefs": [{"kind": kind, "name": name}]});
    let call = Call::new();
    for (policy, wanted) in [
        (deny("shop", json!({})), true),
        (deny("other", json!({})), false),
        (deny("root", json!({})), true),
        (deny("shop", selector("reviews")), true),
        (deny("shop", selector("details")), false),
        (deny("root", selector("reviews")), true),
        (deny("root", selector("details")), false),
        (deny("shop", target("Service", "reviews")), true),
        (deny("shop", target("Service", "details")), false),
        (deny("root", target("Service", "reviews")), false),
    ] {
        let named = format!("{policy:?}");
        assert_eq!(!passes(vec![policy], &call), wanted, "{named}");
    }
    let gateways: [Arc<str>; 1] = ["shop/edge".into()];
    let place = Place::Gateway(&gateways);
    let of = |kind: &str, name: &str| json!({"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": kind, "name": name}]});
    for (policy, wanted) in [
        (deny("shop", of("Gateway", "edge")), true),
        (deny("shop", of("Gateway", "other")), false),
        (deny("other", of("Gateway", "edge")), false),
        (deny("root", of("GatewayClass", "osier")), true),
        (deny("shop", json!({})), false),
        (deny("root", json!({})), true),
        (
            deny(
                "root",
                json!({"selector": {"matchLabels": {"istio": "ingressgateway"}}}),
            ),
            true,
        ),
        (deny("root", selector("reviews")), false),
    ] {
        let named = format!("{policy:?}");
        let decided = Authorizations::new([policy], "root").decide(&place, &call.facts());
        assert_eq!(
            matches!(decided.outcome, Outcome::Denied(_)),
            wanted,
            "{named}"
        );
    }
}

#[test]
fn hosts_outside_are_concerned_by_their_labels_only() {
    let (labels, call) = (labels(), Call::new());
    let place = Place::Workload {
        namespace: "shop",
        labels: &labels,
        outside: true,
        service: None,
    };
    let selector = json!({"selector": {"matchLabels": {"app": "reviews"}}});
    for (spec, wanted) in [(json!({}), true), (selector, false)] {
        let set = Authorizations::new([policy("shop", "nobody", spec.clone())], "root");
        let outcome = set.decide(&place, &call.facts()).outcome;
        assert_eq!(matches!(outcome, Outcome::Allowed(_)), wanted, "{spec}");
    }
}

#[test]
fn rules_about_requests_do_not_open_raw_connections() {
    let raw = Call {
        raw: true,
        ..Call::new()
    };
    let get = operation(json!({"methods": ["GET"]}));
    assert!(
        !allowed(&get, &raw),
        "tasks/security/authorization/authz-tcp"
    );
    assert!(!allowed(&operation(json!({"notPaths": ["/x"]})), &raw));
    assert!(allowed(&operation(json!({"ports": ["9080"]})), &raw));
    let deny = |rule: Value| policy("shop", "d", json!({"action": "DENY", "rules": [rule]}));
    assert!(!passes(vec![deny(get)], &raw));
    let other = operation(json!({"methods": ["GET"], "ports": ["80"]}));
    assert!(passes(vec![deny(other)], &raw), "of another port");
}

#[test]
fn a_custom_policy_says_who_is_asked_before_all_others() {
    let custom = |name: &str, provider: &str| {
        let rule = operation(json!({"methods": ["GET"]}));
        policy(
            "shop",
            name,
            json!({"action": "CUSTOM", "provider": {"name": provider}, "rules": [rule]}),
        )
    };
    let deny = policy("shop", "d", json!({"action": "DENY", "rules": [{}]}));
    let all = [custom("b", "login"), custom("a", "osier-system/opa"), deny];
    let set = Authorizations::new(all, "root");
    let (labels, call) = (labels(), Call::new());
    let place = Place::Workload {
        namespace: "shop",
        labels: &labels,
        outside: false,
        service: None,
    };
    let decided = set.decide(&place, &call.facts());
    let asked: Vec<_> = decided
        .asked
        .iter()
        .map(|one| (&*one.by, &*one.provider))
        .collect();
    assert_eq!(
        asked,
        [("shop/a", "osier-system/opa"), ("shop/b", "shop/login")]
    );
    assert_eq!(decided.outcome, Outcome::Denied("shop/d".into()));
    let post = Call {
        method: "POST",
        ..Call::new()
    };
    assert_eq!(set.decide(&place, &post.facts()).asked, []);
}

#[test]
fn what_cannot_be_read_is_told_and_lets_nothing_pass() {
    let rule = |rule: Value| json!({"action": "DENY", "rules": [rule]});
    for (spec, field) in [
        (
            json!({"action": "DENY", "provider": {"name": "x"}}),
            "spec.provider",
        ),
        (json!({"action": "MAYBE"}), "spec.action"),
        (json!({"action": "CUSTOM"}), "spec.provider.name"),
        (
            json!({"targetRefs": [{"kind": "Pod", "name": "a"}]}),
            "spec.targetRefs[0].kind",
        ),
        (
            json!({"targetRefs": [{"kind": "Service"}]}),
            "spec.targetRefs[0].name",
        ),
        (
            json!({"targetRefs": [{"kind": "Service", "name": "reviews"}], "selector": {}}),
            "spec.selector",
        ),
        (
            rule(source(json!({"ipBlocks": ["10.0.0.0/40"]}))),
            "spec.rules[0].from[0].source.ipBlocks[0]",
        ),
        (
            rule(source(json!({"principal": ["x"]}))),
            "spec.rules[0].from[0].source.principal",
        ),
        (
            rule(operation(json!({"ports": ["http"]}))),
            "spec.rules[0].to[0].operation.ports[0]",
        ),
        (
            rule(operation(json!({"paths": ["/{a}"]}))),
            "spec.rules[0].to[0].operation.paths[0]",
        ),
        (
            rule(operation(json!({"methods": [""]}))),
            "spec.rules[0].to[0].operation.methods[0]",
        ),
        (
            rule(when("request.header[x]", &["a"])),
            "spec.rules[0].when[0].key",
        ),
        (
            rule(when("request.auth.claims[]", &["a"])),
            "spec.rules[0].when[0].key",
        ),
        (rule(when("source.ip", &[])), "spec.rules[0].when[0].values"),
        (rule(json!({"form": []})), "spec.rules[0].form"),
    ] {
        let (policy, faults) = read(&object("shop", "bad", spec.clone()));
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, [field], "{spec}");
        assert!(!passes(vec![policy], &Call::new()), "{spec}");
    }
}
