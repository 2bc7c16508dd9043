//! Which tokens are believed, by keys of every kind and of every algorithm.
#![expect(clippy::unwrap_used, reason = "tests")]

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};
use serde_json::json;

use super::*;

const CLAIMS: &str = r#"{"iss": "https://id.example", "sub": "alice", "exp": 2000}"#;

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unsigned(alg: &str, kid: Option<&str>) -> String {
    let mut head = json!({"alg": alg});
    if let Some(kid) = kid {
        head["kid"] = kid.into();
    }
    format!("{}.{}", encoded(head.to_string()), encoded(CLAIMS))
}

/// A key pair on a curve: its key in a set, and what it signs.
struct Pair {
    alg: &'static str,
    key: Value,
    pair: EcdsaKeyPair,
}

impl Pair {
    fn new(kid: &str, alg: &'static str) -> Self {
        let (curve, crv): (&'static EcdsaSigningAlgorithm, _) = match alg {
            "ES256" => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            _ => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        };
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(curve, document.as_ref(), &random).unwrap();
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let key = json!({"kty": "EC", "crv": crv, "kid": kid, "x": encoded(x), "y": encoded(y)});
        Self { alg, key, pair }
    }

    fn sign(&self, kid: Option<&str>) -> String {
        let signed = unsigned(self.alg, kid);
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        format!("{signed}.{}", encoded(signature.unwrap()))
    }
}

fn set(keys: &[&Value]) -> KeySet {
    KeySet::read(&json!({"keys": keys}).to_string()).unwrap()
}

fn verify(set: &KeySet, token: &str) -> Result<(), TokenFault> {
    set.verify(&WebToken::read(token)?)
}

#[test]
fn keys_on_curves_verify_what_they_signed_and_nothing_else() {
    let (one, two, wide) = (
        Pair::new("one", "ES256"),
        Pair::new("two", "ES256"),
        Pair::new("wide", "ES384"),
    );
    let all = set(&[&one.key, &two.key, &wide.key]);
    for pair in [&one, &two, &wide] {
        let kid = pair.key["kid"].as_str();
        assert_eq!(verify(&all, &pair.sign(kid)), Ok(()));
        assert_eq!(verify(&all, &pair.sign(None)), Ok(()), "without a name");
    }
    let missing = verify(&all, &one.sign(Some("three"))).unwrap_err();
    assert!(matches!(missing, TokenFault::Key { .. }), "{missing}");
    let other = verify(&all, &one.sign(Some("two")));
    assert_eq!(other, Err(TokenFault::Signature), "another's name");
    let alone = set(&[&two.key]);
    assert_eq!(verify(&alone, &one.sign(None)), Err(TokenFault::Signature));
    // The algorithm is the key's to say.
    let mut bound = one.key.clone();
    bound["alg"] = "ES384".into();
    let refused = verify(&set(&[&bound]), &one.sign(None)).unwrap_err();
    assert!(matches!(refused, TokenFault::Key { .. }), "{refused}");
}

#[test]
fn edwards_keys_verify() {
    let random = SystemRandom::new();
    let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key())});
    let signed = unsigned("EdDSA", Some("any"));
    let token = format!("{signed}.{}", encoded(pair.sign(signed.as_bytes())));
    assert_eq!(
        verify(&set(&[&key]), &token),
        Ok(()),
        "a key without a name is for any"
    );
}

/// Made by Python's `cryptography` with one throw-away key of 2048 bits, whose private half nobody kept.
const RSA: [(&str, &str); 6] = include!("rsa.txt");
const RSA_KEY: &str = include_str!("rsa.json");

#[test]
fn rsa_keys_verify_both_paddings_and_three_hashes() {
    let set = KeySet::read(RSA_KEY).unwrap();
    for (alg, signature) in RSA {
        let signed = unsigned(alg, Some("r"));
        assert_eq!(
            verify(&set, &format!("{signed}.{signature}")),
            Ok(()),
            "{alg}"
        );
        let other = unsigned(alg, None);
        let moved = verify(&set, &format!("{other}.{signature}"));
        assert_eq!(moved, Err(TokenFault::Signature), "{alg}");
    }
}

#[test]
fn no_algorithm_without_a_public_key_is_believed() {
    let pair = Pair::new("one", "ES256");
    let set = set(&[&pair.key]);
    for alg in ["none", "HS256", "ES512", ""] {
        let fault = verify(&set, &format!("{}.", unsigned(alg, Some("one")))).unwrap_err();
        assert!(matches!(fault, TokenFault::Key { .. }), "{alg}: {fault}");
    }
}

#[test]
fn sets_pass_over_what_they_do_not_know_and_are_refused_without_a_key() {
    let pair = Pair::new("one", "ES256");
    let odd = [
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-521"}),
        json!(7),
    ];
    let mut all: Vec<&Value> = odd.iter().collect();
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys": []}"#,
        &json!({"keys": all}).to_string(),
    ] {
        let fault = KeySet::read(text).unwrap_err().to_string();
        assert!(fault.starts_with("key set: "), "{fault}");
    }
    all.push(&pair.key);
    assert_eq!(verify(&set(&all), &pair.sign(Some("one"))), Ok(()));
}

#[test]
fn times_count_with_some_leeway() {
    let token = |claims: Value| {
        format!(
            "{}.{}.",
            encoded(json!({"alg": "x"}).to_string()),
            encoded(claims.to_string())
        )
    };
    for (claims, now, wanted) in [
        (json!({}), 5000, Ok(None)),
        (json!({"exp": 2000}), 2060, Ok(Some(2060))),
        (json!({"exp": 2000.7}), 1999, Ok(Some(2060))),
        (json!({"exp": 2000}), 2061, Err(TokenFault::Expired(61))),
        (json!({"nbf": 2000}), 1940, Ok(None)),
        (json!({"nbf": 2000}), 1939, Err(TokenFault::NotYet(61))),
        (json!({"exp": 1e300}), 5000, Ok(Some(u64::MAX))),
    ] {
        let text = token(claims.clone());
        let read = WebToken::read(&text).unwrap();
        assert_eq!(read.valid_until(now, 60), wanted, "{claims}");
    }
    for claims in [
        json!({"exp": "2000"}),
        json!({"nbf": -1}),
        json!({"exp": null}),
    ] {
        let text = token(claims.clone());
        let read = WebToken::read(&text).unwrap();
        let fault = read.valid_until(1000, 60).unwrap_err();
        assert!(matches!(fault, TokenFault::Form(_)), "{claims}");
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn part() -> impl Strategy<Value = String> {
        prop_oneof![
            "[A-Za-z0-9_-]{0,40}",
            r#"\{("(alg|kid|crit|exp|iss)":("[a-zA-Z0-9]{0,6}"|[0-9]{1,20}|null|\[\]|\{\}),?){0,3}\}"#
                .prop_map(encoded),
            any::<Vec<u8>>().prop_map(encoded),
            ".{0,20}",
        ]
    }

    proptest! {
        /// Whatever the text, it is a token or it is not, and none of nobody's key is believed.
        #[test]
        fn any_text_is_read_or_refused(parts in prop::collection::vec(part(), 0..5), now: u64) {
            let text = parts.join(".");
            if let Ok(token) = WebToken::read(&text) {
                prop_assert_eq!(text.matches('.').count(), 2);
                let _either = token.valid_until(now, 60);
                let pair = json!({"kty": "OKP", "crv": "Ed25519", "x": encoded([7u8; 32])});
                prop_assert!(set(&[&pair]).verify(&token).is_err());
            }
        }

        /// A signature covers every byte before it.
        #[test]
        fn a_changed_token_is_not_believed(at: prop::sample::Index, to in "[A-Za-z0-9_-]") {
            let pair = Pair::new("one", "ES256");
            let (set, token) = (set(&[&pair.key]), pair.sign(Some("one")));
            let at = at.index(token.len());
            let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
            let last = token.len() - 1;
            // The last character of base64 may stand for bits that nobody reads: those are refused by the decoder.
            prop_assume!(changed != token && at != last);
            prop_assert!(verify(&set, &changed).is_err());
        }
    }
}
