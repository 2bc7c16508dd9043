//! Lists that are written down; those at URLs are shown by the suite `calls`.
#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use osier_plugin::export::make;

fn passes(config: &str, value: &str) -> bool {
    !make::<List>(config).unwrap().check(value).is_denied()
}

#[test]
fn an_allow_list_admits_only_its_entries_and_a_deny_list_all_others() {
    let allow = r#"{"entries": ["a", "b"]}"#;
    assert!(passes(allow, "a") && !passes(allow, "c") && !passes(allow, "A"));
    let deny = r#"{"mode": "Deny", "entries": ["a"]}"#;
    assert!(!passes(deny, "a") && passes(deny, "c"));
}

#[test]
fn case_may_be_ignored() {
    let list = r#"{"type": "CASE_INSENSITIVE_STRINGS", "entries": ["Alice"]}"#;
    assert!(passes(list, "aLICE") && !passes(list, "bob"));
}

#[test]
fn addresses_match_ranges_and_what_is_no_address_is_not_on_the_list() {
    let list =
        r#"{"type": "IP_ADDRESSES", "entries": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]}"#;
    assert!(passes(list, "10.1.2.3") && passes(list, "2001:db8::1") && passes(list, "192.0.2.7"));
    assert!(passes(list, "::ffff:10.1.2.3"), "mapped IPv4");
    assert!(!passes(list, "11.1.2.3") && !passes(list, "192.0.2.8") && !passes(list, "ten"));
}

#[test]
fn patterns_match_whole_values() {
    let list = r#"{"type": "REGEX", "entries": ["/api/v[0-9]+", "/health"]}"#;
    assert!(passes(list, "/api/v12") && passes(list, "/health"));
    assert!(!passes(list, "/api/v1/secret") && !passes(list, "x/health"));
}

#[test]
fn a_bad_entry_is_named_by_its_place() {
    for (config, place) in [
        (
            r#"{"type": "IP_ADDRESSES", "entries": ["10.0.0.1", "10.0.0.0/99"]}"#,
            "entries[1]",
        ),
        (r#"{"type": "REGEX", "entries": ["("]}"#, "entries[0]"),
        (r#"{"entries": ["a"], "status": 200}"#, "status"),
    ] {
        let error = make::<List>(config).err().unwrap();
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn a_list_at_a_url_needs_the_url_and_a_list_needs_something() {
    for (config, field) in [
        ("{}", "entries"),
        (
            r#"{"refreshInterval": "5s", "entries": ["a"]}"#,
            "refreshInterval",
        ),
        (r#"{"ttl": "5s", "entries": ["a"]}"#, "ttl"),
        (
            r#"{"providerUrl": "http://a/", "refreshInterval": "60s", "ttl": "5s"}"#,
            "ttl",
        ),
    ] {
        let error = make::<List>(config).err().unwrap();
        assert!(error.starts_with(field), "{error}");
    }
}
