//! Which tokens are believed, for how long, and what they say.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod tokens;

use osier_plugin::export::make;
use osier_plugin::serde_json::{Value as Json, from_str, json};

use super::*;
use tokens::*;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn jwt(more: &Json) -> Jwt {
    let keys: Vec<Json> = [KEY_RSA, KEY_EC, KEY_ED]
        .map(|key| from_str(key).unwrap())
        .into();
    let issuer =
        json!({"issuer": "https://id.example", "audiences": ["shop"], "jwks": {"keys": keys}});
    let mut config = json!({"issuers": [issuer]});
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    make(&config.to_string()).unwrap()
}

fn asked(jwt: &Jwt, token: &str, now: Duration) -> Result<Identity, String> {
    match jwt.answer(&format!("Bearer {token}"), now) {
        Authenticated::Somebody(identity) => Ok(*identity),
        Authenticated::Refused(decision) => Err(format!("{decision:?}")),
        Authenticated::Nobody => panic!("nobody"),
    }
}

#[test]
fn a_token_of_every_algorithm_says_who_it_is() {
    let jwt = jwt(&json!({}));
    for token in [RS256, RS384, RS512, ES256, EDDSA, NAMELESS] {
        let identity = asked(&jwt, token, NOW).unwrap();
        assert_eq!(identity.principal, "https://id.example/alice");
        assert_eq!(identity.audiences, ["shop", "bank"]);
        assert_eq!(identity.presenter.as_deref(), Some("web"));
        let claim = |name: &str| {
            let mut claims = identity.claims.iter();
            claims
                .find(|(own, _)| own == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(claim("level"), Some("3"));
        assert_eq!(claim("roles"), Some("[\"admin\",\"dev\"]"));
        assert_eq!(identity.valid_for, Some(Duration::from_secs(60)));
    }
}

#[test]
fn what_is_not_signed_by_a_known_key_is_refused() {
    let jwt = jwt(&json!({}));
    let flipped = RS256.replace("A", "B");
    let swapped = [
        &ES256[..ES256.rfind('.').unwrap()],
        &NAMELESS[NAMELESS.rfind('.').unwrap()..],
    ]
    .concat();
    let long = "a".repeat(17 * 1024);
    for (token, reason) in [
        (FOREIGN, "no key of https://id.example verifies"),
        (
            UNSIGNED,
            "no key of https://id.example verifies the signature (alg none",
        ),
        (
            SYMMETRIC,
            "no key of https://id.example verifies the signature (alg HS256",
        ),
        (WRONG_KID, "no key of https://id.example verifies"),
        (&swapped, "no key of https://id.example verifies"),
        (&flipped, ""),
        (CRITICAL, "crit"),
        (OTHER_ISSUER, "issuer `https://evil.example` is not known"),
        (OTHER_AUDIENCE, "the token is for [bank]"),
        (FOREVER, "never expires"),
        (TEXT_EXP, "claim exp is no time"),
        ("a.b.c", "head cannot be read"),
        ("abc", "this is no token"),
        (&long, "more than"),
    ] {
        let error = asked(&jwt, token, NOW).unwrap_err();
        assert!(
            error.contains("401") && error.contains(reason),
            "{reason}: {error}"
        );
        assert!(error.contains("invalid_token"), "{error}");
    }
}

#[test]
fn a_token_is_valid_in_its_time_give_or_take_the_leeway() {
    let jwt = jwt(&json!({"leeway": "10s", "validFor": "1h"}));
    // From 900 to 1000.
    for (now, good) in [
        (889, false),
        (890, true),
        (900, true),
        (1009, true),
        (1010, false),
    ] {
        let answer = asked(&jwt, SHORT, Duration::from_secs(now));
        assert_eq!(answer.is_ok(), good, "{now}: {answer:?}");
    }
    let identity = asked(&jwt, SHORT, Duration::from_secs(950)).unwrap();
    assert_eq!(
        identity.valid_for,
        Some(Duration::from_secs(50)),
        "no longer than the token"
    );
}

#[test]
fn without_a_token_a_call_passes_only_if_it_may() {
    for (required, credential, status) in [
        (true, "", Some(401)),
        (true, "Basic c2hvcDpzZWNyZXQ=", Some(401)),
        (false, "", None),
        (false, "Basic c2hvcDpzZWNyZXQ=", Some(401)),
        (false, "Bearer x", Some(401)),
    ] {
        let answer = jwt(&json!({"required": required})).answer(credential, NOW);
        let refused = match &answer {
            Authenticated::Refused(decision) => decision.status(),
            _ => None,
        };
        assert_eq!(refused, status, "{required} {credential:?}: {answer:?}");
    }
}

#[test]
fn the_service_gets_claims_as_headers_and_nothing_that_the_caller_wrote_there() {
    let config = json!({"claimHeaders": {"x-user": "sub", "x-level": "level", "x-roles": "roles", "x-gone": "none"}});
    let identity = asked(&jwt(&config), ES256, NOW).unwrap();
    let told: Vec<(&str, &str)> = (identity.request_headers.iter())
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(told, [("x-level", "3"), ("x-user", "alice")]);
    let hidden = ["x-gone", "x-level", "x-roles", "x-user", "authorization"];
    assert_eq!(identity.hidden_headers, hidden);
    let forwarding = asked(&jwt(&json!({"forward": true})), ES256, NOW).unwrap();
    assert_eq!(forwarding.hidden_headers, Vec::<String>::new());
}

#[test]
fn a_wrong_key_is_named_by_its_place() {
    let key: Json = from_str(KEY_EC).unwrap();
    let with = |name: &str, value: &str| {
        let mut key = key.clone();
        key[name] = json!(value);
        key
    };
    let issuer = |keys: Json| json!({"issuer": "i", "jwks": {"keys": keys}});
    for (issuers, reason) in [
        (
            json!([issuer(json!([key, with("y", "AAAA")]))]),
            "issuers[0].jwks.keys[1]: x, y",
        ),
        (
            json!([issuer(json!([with("x", "a+/b")]))]),
            "issuers[0].jwks.keys[0]: x: must be base64url",
        ),
        (
            json!([issuer(json!([with("kty", "oct")]))]),
            "keys[0]: kty `oct`",
        ),
        (
            json!([issuer(json!([with("crv", "P-521")]))]),
            "keys[0]: kty `EC`, crv `P-521`",
        ),
        (
            json!([issuer(json!([with("use", "enc")]))]),
            "issuers[0].jwks.keys: holds no key",
        ),
        (
            json!([issuer(json!([key])), issuer(json!([key]))]),
            "issuers[1].issuer: `i`",
        ),
        (
            json!([issuer(json!([{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]))]),
            "keys[0]: n, e",
        ),
    ] {
        let error = make::<Jwt>(&json!({"issuers": issuers}).to_string())
            .err()
            .unwrap();
        assert!(error.contains(reason), "{reason}: {error}");
    }
}
