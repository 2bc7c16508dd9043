//! A template that the host has never seen: recognised, type-checked and filled from the component alone.

use crate::fixture::{FRAUD, World, allowed, check, denied, headers};
use serde_json::{Value, json};

fn fields() -> Value {
    json!({
        "amount": "129.5",
        "country": "request.headers['x-country'].orValue('DE')",
        "user": "request.headers['x-user'].orValue('')",
        "age-days": "destination.port.orValue(0)",
        "vip": "request.headers['x-vip'] == 'yes'",
        "referrer": "request.referer",
        "tags": "request.query_params",
        "channel": "'mobile'",
        "payment.card": "'4111'",
        "device.id": "request.id",
        "device.trusted": "source.ip in cidr('10.0.0.0/8')",
        "at": "timestamp('1970-01-01T00:00:05.5Z')",
    })
}

fn spec(template: &str, fields: &Value) -> Value {
    json!({"actions": [{"plugin": "fraud", "template": template, "fields": fields}]})
}

#[test]
fn every_type_of_field_arrives() {
    let world = World::new();
    let plugin = world.load("fraud", FRAUD, json!({}));
    for template in ["score", "acme:fraud/score", "acme:fraud/score@1.0.0"] {
        let set = world.set(&[&plugin], &spec(template, &fields()));
        let denial = denied(check(&set, &headers(&[("x-user", "eve")])));
        assert_eq!(denial.status, 402);
        for part in [
            "amount: 129.5",
            "country: \"DE\"",
            "user: \"eve\"",
            "age-days: 9080",
            "vip: false",
            "referrer: None",
            "tags: [(\"x\", \"1\")]",
            "Mobile",
            "card(\"4111\")",
            "id: \"r-1\"",
            "trusted: true",
            "seconds: 5",
            "nanoseconds: 500000000",
        ] {
            let found = denial
                .reason
                .to_lowercase()
                .replace("payment::", "")
                .contains(&part.to_lowercase());
            assert!(found, "{part} in {}", denial.reason);
        }
        // The kept tree is filled again: other values, an option that is there, another length.
        let again = headers(&[
            ("x-user", "mallory"),
            ("referer", "http://a/"),
            ("x-country", "FR"),
        ]);
        let reason = denied(check(&set, &again)).reason;
        assert!(
            reason.contains("\"mallory\"")
                && reason.contains("Some(\"http://a/\")")
                && reason.contains("\"FR\""),
            "{reason}"
        );
        let back = denied(check(&set, &headers(&[("x-user", "eve")]))).reason;
        assert_eq!(back, denial.reason);
        allowed(check(
            &set,
            &headers(&[("x-user", "eve"), ("x-vip", "yes")]),
        ));
    }
}

#[test]
fn an_error_that_the_plugin_reports_is_no_permission() {
    let world = World::new();
    let plugin = world.load("fraud", FRAUD, json!({}));
    let set = world.set(&[&plugin], &spec("score", &fields()));
    let denial = denied(check(&set, &headers(&[])));
    assert!(
        denial.failed && denial.reason.contains("no user"),
        "{denial:?}"
    );
    assert_eq!(plugin.status().bad_answers, 1);
    assert_eq!(
        plugin.status().instances,
        1,
        "an answer, even a bad one, costs no instance"
    );
}

/// Faults of a policy whose fields were changed.
fn faults(world: &World, change: impl Fn(&mut serde_json::Map<String, Value>)) -> Vec<String> {
    let plugin = world.load("fraud", FRAUD, json!({}));
    let mut fields = fields();
    change(fields.as_object_mut().unwrap());
    let faults = world
        .try_policy(&[&plugin], &spec("score", &fields))
        .unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn wrong_fields_are_refused_with_their_paths() {
    let world = World::new();
    for (field, value, words) in [
        ("country", Value::Null, "is missing; it needs string"),
        (
            "amount",
            json!("'x'"),
            "has type string, but the template needs f64",
        ),
        (
            "amount",
            json!("destination.port.orValue(0)"),
            "write double(..)",
        ),
        ("user", json!("source.owner"), "source.owner may be absent"),
        (
            "user",
            json!("source.ip.orValue(ip('::1'))"),
            "write string(..)",
        ),
        (
            "channel",
            json!("'fax'"),
            "`fax` is not one of web, mobile, pos",
        ),
        ("device.trustd", json!("true"), "did you mean `trusted`?"),
        (
            "at",
            json!("request.method"),
            "but the template needs record",
        ),
        (
            "payment.card",
            json!("1"),
            "type int, but the template needs string",
        ),
        (
            "vip",
            json!("request.methd == 'a'"),
            "did you mean `request.method`?",
        ),
    ] {
        let found = faults(&world, |fields| {
            fields.insert(field.to_owned(), value.clone());
        });
        let path = format!("spec.actions[0].fields.{field}: ");
        let said = |fault: &String| fault.starts_with(&path) && fault.contains(words);
        assert!(found.iter().any(said), "{field}: {found:?}");
    }
}

#[test]
fn all_faults_are_reported_at_once() {
    let found = faults(&World::new(), |fields| {
        fields.remove("user");
        fields.insert("amount".into(), json!("true"));
    });
    assert_eq!(found.len(), 2, "{found:?}");
}
