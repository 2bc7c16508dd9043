//! Which keys open what, and what a wrong configuration is told.
#![expect(clippy::unwrap_used, reason = "tests")]

use osier_plugin::export::make;
use osier_plugin::serde_json::{Value, json};
use osier_plugin::types::Timestamp;

use super::*;

/// `printf %s secret | sha256sum`
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

fn keys(entry: Value) -> Keys {
    make(&json!({"keys": [entry]}).to_string()).unwrap()
}

fn call(key: &str) -> ApiKeyInstance {
    ApiKeyInstance {
        api: "reviews.default.svc.cluster.local".into(),
        api_version: String::new(),
        api_operation: "GET /reviews/1".into(),
        api_key: key.into(),
        timestamp: Timestamp {
            seconds: 1_800_000_000,
            nanoseconds: 0,
        },
    }
}

#[test]
fn the_key_opens_and_others_do_not() {
    let keys = keys(json!({"sha256": SECRET, "consumer": "acme"}));
    assert_eq!(keys.check(&call("secret")).status(), None);
    for wrong in ["", "secret ", "Secret", SECRET] {
        assert_eq!(keys.check(&call(wrong)).status(), Some(401), "{wrong:?}");
    }
}

#[test]
fn a_key_opens_what_it_is_for() {
    for (limits, status) in [
        (json!({"apis": ["reviews.default.*"]}), None),
        (json!({"apis": ["*.cluster.local"]}), None),
        (json!({"apis": ["ratings.*"]}), Some(403)),
        (json!({"operations": ["GET *"]}), None),
        (json!({"operations": ["GET /reviews/1"]}), None),
        (json!({"operations": ["GET /reviews"]}), Some(403)),
        (
            json!({"operations": ["POST *", "GET /ratings*"]}),
            Some(403),
        ),
        (json!({"apis": ["*"], "operations": ["POST *"]}), Some(403)),
    ] {
        let mut entry = limits.clone();
        entry["sha256"] = json!(SECRET);
        entry["consumer"] = json!("acme");
        assert_eq!(
            keys(entry).check(&call("secret")).status(),
            status,
            "{limits}"
        );
    }
}

#[test]
fn a_key_expires_at_its_time() {
    let entry = |expires: &str| json!({"sha256": SECRET, "consumer": "acme", "expires": expires});
    // 2027-01-15T08:00:00Z is second 1,800,000,000.
    for (expires, status) in [
        ("2027-01-15T08:00:01Z", None),
        ("2027-01-15T08:00:00Z", Some(401)),
        ("2027-01-15T10:00:00+02:00", Some(401)),
    ] {
        let decision = keys(entry(expires)).check(&call("secret"));
        assert_eq!(decision.status(), status, "{expires}");
    }
}

#[test]
fn a_wrong_configuration_is_named_by_its_place() {
    let good = json!({"sha256": SECRET, "consumer": "acme"});
    for (config, place) in [
        (
            json!({"keys": [good, {"sha256": "2bb8", "consumer": "b"}]}),
            "keys[1].sha256",
        ),
        (
            json!({"keys": [good, good]}),
            "keys[1].sha256: this key stands above",
        ),
        (
            json!({"keys": [{"sha256": SECRET, "consumer": "a", "expires": "tomorrow"}]}),
            "keys[0].expires: `tomorrow`",
        ),
        (json!({"keys": [good], "realm": "a\"b"}), "realm"),
        (json!({"keys": [{"key": "secret", "consumer": "a"}]}), "key"),
    ] {
        let error = make::<Keys>(&config.to_string()).err().unwrap();
        assert!(error.contains(place), "{error}");
    }
}
