//! RequestAuthentications as people write them, and what becomes of calls. Where a row has a source, it is
//! <https://istio.io/latest/docs/reference/config/security/request_authentication/>.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use osier_api::Object;
use osier_identity::TokenKey;
use serde_json::{Value, json};

use super::*;
use crate::read::{read, wanted};

const NOW: u64 = 1_000;
const ISSUER: &str = "https://id.example";

fn object(namespace: &str, spec: &Value, status: &Value) -> Object {
    let metadata = json!({"namespace": namespace, "name": "jwt"});
    let whole = json!({"kind": "RequestAuthentication", "metadata": metadata, "spec": spec, "status": status});
    Object::from_value(whole).unwrap()
}

/// An issuer with a key.
struct Issuer(TokenKey);

impl Issuer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self(TokenKey::open(folder.path()).unwrap())
    }

    fn jwks(&self) -> String {
        self.0.key_set().to_string()
    }

    fn token(&self, more: Value) -> String {
        let mut claims = json!({"iss": ISSUER, "sub": "alice", "aud": ["shop", "bank"], "azp": "web",
            "exp": 2_000, "level": 3, "scope": "read write", "realm": {"roles": ["admin"]}});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.0.sign(&claims).unwrap()
    }

    /// A rule of this issuer with more fields.
    fn rule(&self, more: Value) -> Value {
        let mut rule = json!({"issuer": ISSUER, "jwks": self.jwks()});
        for (name, value) in more.as_object().unwrap() {
            rule[name] = value.clone();
        }
        rule
    }

    fn set(&self, more: Value) -> Authentications {
        of(&json!({"jwtRules": [self.rule(more)]}))
    }
}

fn of(spec: &Value) -> Authentications {
    let (policy, faults) = read(&object("shop", spec, &Value::Null));
    assert_eq!(faults, []);
    Authentications::new([policy], "root")
}

fn head(target: &str, headers: &[(&'static str, &str)]) -> Parts {
    let mut request = http::Request::get(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn bearer(token: &str) -> Parts {
    head(
        "http://reviews/",
        &[("authorization", &format!("Bearer {token}"))],
    )
}

/// What becomes of a call of the workload `reviews` of the namespace `shop`.
fn ask(set: &Authentications, head: &Parts) -> Result<Authenticated, Refused> {
    let labels = BTreeMap::from([("app".to_owned(), "reviews".to_owned())]);
    let place = At::Workload {
        namespace: "shop",
        labels: &labels,
        outside: false,
        service: None,
    };
    let asked = set.authenticate(&place, head, NOW, &mut Seen::default());
    asked.map(Option::unwrap)
}

fn verified(set: &Authentications, head: &Parts) -> Arc<Verified> {
    ask(set, head).unwrap().by.unwrap().1
}

#[test]
fn a_valid_token_says_who_calls() {
    let issuer = Issuer::new();
    let found = verified(&issuer.set(json!({})), &bearer(&issuer.token(json!({}))));
    let token = found.token();
    assert_eq!(token.principal, Some("https://id.example/alice"));
    assert_eq!(token.audiences, ["shop", "bank"]);
    assert_eq!(
        (token.presenter, found.audiences()),
        (Some("web"), "shop,bank")
    );
    assert_eq!(token.claims["level"], 3);
    let texts: BTreeMap<_, _> = found.texts().iter().cloned().collect();
    assert_eq!(
        (&*texts["level"], &*texts["realm"]),
        ("3", r#"{"roles":["admin"]}"#)
    );
}

#[test]
fn calls_without_a_token_pass_and_wrong_tokens_do_not() {
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let set = issuer.set(json!({"audiences": ["https://bank/", "other"]}));
    assert!(
        ask(&set, &head("http://reviews/", &[]))
            .unwrap()
            .by
            .is_none()
    );
    let basic = head("http://reviews/", &[("authorization", "Basic YTpi")]);
    assert!(ask(&set, &basic).unwrap().by.is_none(), "it is no token");
    verified(&set, &bearer(&issuer.token(json!({}))));
    for (token, status, said) in [
        ("abc".to_owned(), 401, "Jwt is not in the form"),
        (other.token(json!({})), 401, "Jwks doesn't have key"),
        (
            issuer.token(json!({"iss": "x"})),
            401,
            "Jwt issuer is not configured",
        ),
        (issuer.token(json!({"exp": 100})), 401, "Jwt is expired"),
        (
            issuer.token(json!({"nbf": 5_000})),
            401,
            "Jwt not yet valid",
        ),
        (
            issuer.token(json!({"aud": "shop"})),
            403,
            "Audiences in Jwt are not allowed",
        ),
        (
            issuer.token(json!({"aud": null})),
            403,
            "Audiences in Jwt are not allowed",
        ),
    ] {
        let refused = ask(&set, &bearer(&token)).unwrap_err();
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.said.starts_with(said), "{refused:?}");
        assert_eq!(&*refused.policy, "shop/jwt");
    }
}

#[test]
fn tokens_stand_where_the_rule_says_and_go_no_further() {
    let issuer = Issuer::new();
    let token = issuer.token(json!({}));
    let usual = issuer.set(json!({}));
    let passed = ask(&usual, &bearer(&token)).unwrap().head;
    assert!(passed.headers.is_empty(), "{passed:?}");
    let query = head(&format!("http://reviews/a?x=1&access_token={token}"), &[]);
    assert_eq!(
        ask(&usual, &query).unwrap().head.uri,
        "http://reviews/a?x=1"
    );
    let kept = issuer.set(json!({"forwardOriginalToken": true}));
    let passed = ask(&kept, &bearer(&token)).unwrap().head;
    assert!(passed.headers.contains_key("authorization"));
    let elsewhere = json!({"fromHeaders": [{"name": "x-jwt", "prefix": "T "}], "fromParams": ["t"], "fromCookies": ["c"]});
    let elsewhere = issuer.set(elsewhere);
    for (target, header) in [
        (
            "http://reviews/".to_owned(),
            ("x-jwt", format!("T {token}")),
        ),
        (format!("http://reviews/?t={token}"), ("x-a", String::new())),
        (
            "http://reviews/".to_owned(),
            ("cookie", format!("a=b; c={token}")),
        ),
    ] {
        verified(&elsewhere, &head(&target, &[(header.0, &header.1)]));
    }
    let usual_place = ask(&elsewhere, &bearer(&token)).unwrap();
    assert!(usual_place.by.is_none(), "nobody looks there");
    assert!(usual_place.head.headers.contains_key("authorization"));
}

#[test]
fn headers_tell_what_the_token_says_and_only_the_token() {
    let issuer = Issuer::new();
    let set = issuer.set(
        json!({"outputPayloadToHeader": "x-payload", "outputClaimToHeaders": [
        {"header": "x-sub", "claim": "sub"}, {"header": "x-level", "claim": "level"},
        {"header": "x-roles", "claim": "realm.roles"}, {"header": "x-none", "claim": "none"}]}),
    );
    let token = issuer.token(json!({}));
    let mut call = bearer(&token);
    for name in ["x-sub", "x-none", "x-payload", "x-own"] {
        call.headers.insert(name, HeaderValue::from_static("mine"));
    }
    let passed = ask(&set, &call).unwrap().head.headers;
    assert_eq!(passed["x-sub"], "alice");
    assert_eq!(passed["x-level"], "3");
    assert_eq!(
        passed["x-roles"], "WyJhZG1pbiJd",
        "base64url of [\"admin\"], as Envoy writes lists"
    );
    assert_eq!(passed["x-payload"], token.split('.').nth(1).unwrap());
    assert!(!passed.contains_key("x-none"));
    assert_eq!(passed["x-own"], "mine");
    call.headers.remove("authorization");
    let nobody = ask(&set, &call).unwrap().head.headers;
    assert!(!nobody.contains_key("x-sub") && !nobody.contains_key("x-payload"));
}

#[test]
fn of_several_rules_each_token_needs_one() {
    let (one, two) = (Issuer::new(), Issuer::new());
    let second = two.rule(json!({"issuer": "two", "fromHeaders": [{"name": "x-two"}]}));
    let set = of(&json!({"jwtRules": [one.rule(json!({})), second]}));
    let (first, second) = (one.token(json!({})), two.token(json!({"iss": "two"})));
    let mut both = bearer(&first);
    both.headers
        .insert("x-two", HeaderValue::try_from(&second).unwrap());
    assert_eq!(
        verified(&set, &both).principal(),
        Some("https://id.example/alice")
    );
    both.headers
        .insert("x-two", HeaderValue::from_static("a.b.c"));
    assert_eq!(ask(&set, &both).unwrap_err().status, 401, "one is wrong");
    // A token of the second issuer in the first one's place is nobody's.
    let refused = ask(&set, &bearer(&second)).unwrap_err();
    assert_eq!(refused.said, "Jwt issuer is not configured");
}

#[test]
fn browsers_ask_before_the_call_without_a_token() {
    let issuer = Issuer::new();
    let mut preflight = bearer("abc");
    preflight.method = Method::OPTIONS;
    for name in ["origin", "access-control-request-method"] {
        preflight
            .headers
            .insert(name, HeaderValue::from_static("x"));
    }
    assert!(
        ask(&issuer.set(json!({})), &preflight)
            .unwrap()
            .by
            .is_none()
    );
}

#[test]
fn keys_that_must_be_fetched_are_waited_for_by_nobody() {
    let issuer = Issuer::new();
    let uri = "https://id.example/keys";
    let spec = json!({"jwtRules": [{"issuer": ISSUER, "jwksUri": uri}]});
    let wants = wanted(&object("shop", &spec, &Value::Null));
    assert_eq!(
        (wants.len(), &*wants[0].uri, wants[0].discovered),
        (1, uri, false)
    );
    let call = bearer(&issuer.token(json!({})));
    let refused = ask(&of(&spec), &call).unwrap_err();
    assert!(
        refused.reason.contains("has not been fetched yet"),
        "{refused:?}"
    );
    let status = json!({"keySets": [{"uri": uri, "jwks": issuer.jwks()}]});
    let (policy, _) = read(&object("shop", &spec, &status));
    verified(&Authentications::new([policy], "root"), &call);
    let described = json!({"jwtRules": [{"issuer": "https://id.example/"}]});
    let wants = wanted(&object("shop", &described, &Value::Null));
    assert_eq!(
        wants[0].uri,
        "https://id.example/.well-known/openid-configuration"
    );
    assert!(wants[0].discovered);
}

#[test]
fn tokens_are_remembered_until_they_end_or_the_rules_change() {
    let issuer = Issuer::new();
    let (set, call) = (issuer.set(json!({})), bearer(&issuer.token(json!({}))));
    let place = At::Workload {
        namespace: "shop",
        labels: &BTreeMap::new(),
        outside: false,
        service: None,
    };
    let mut seen = Seen::default();
    let mut ask = |set: &Authentications, now| {
        let asked = set.authenticate(&place, &call, now, &mut seen);
        asked.map(|found| found.unwrap().by.unwrap().1)
    };
    let (first, again) = (ask(&set, NOW).unwrap(), ask(&set, NOW).unwrap());
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(ask(&set, 2_061).unwrap_err().said, "Jwt is expired");
    let changed = issuer.set(json!({"audiences": ["none"]}));
    assert_eq!(ask(&changed, NOW).unwrap_err().status, 403);
}

#[test]
fn faults_name_their_fields() {
    let jwks = Issuer::new().jwks();
    for (rule, field) in [
        (json!({"jwks": jwks}), "issuer"),
        (json!({"issuer": "a", "jwks": "{}"}), "jwks"),
        (
            json!({"issuer": "a", "jwks": jwks, "jwksUri": "http://a/"}),
            "jwks",
        ),
        (json!({"issuer": "a", "jwksUri": "ftp://a/"}), "jwksUri"),
        (json!({"issuer": "a"}), "jwksUri"),
        (
            json!({"issuer": "a", "jwks": jwks, "audiences": [""]}),
            "audiences[0]",
        ),
        (
            json!({"issuer": "a", "jwks": jwks, "fromHeaders": [{"name": "a b"}]}),
            "fromHeaders[0].name",
        ),
        (
            json!({"issuer": "a", "jwks": jwks, "fromCookies": [""]}),
            "fromCookies[0]",
        ),
        (
            json!({"issuer": "a", "jwks": jwks, "outputPayloadToHeader": "a:"}),
            "outputPayloadToHeader",
        ),
        (
            json!({"issuer": "a", "jwks": jwks, "outputClaimToHeaders": [{"header": "a"}]}),
            "outputClaimToHeaders[0].claim",
        ),
        (
            json!({"issuer": "a", "jwks": jwks, "timeout": "soon"}),
            "timeout",
        ),
        (
            json!({"issuer": "a", "jwks": jwks, "timeout": "0s"}),
            "timeout",
        ),
        (
            json!({"issuer": "a", "jwks": jwks, "fromHeader": []}),
            "fromHeader",
        ),
    ] {
        let (policy, faults) = read(&object("shop", &json!({"jwtRules": [rule]}), &Value::Null));
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, [format!("spec.jwtRules[0].{field}")], "{rule}");
        drop(policy);
    }
}
