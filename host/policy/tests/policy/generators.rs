//! Attribute generators: asked first, once, and believed by those who come after.

use std::sync::Arc;

use http::HeaderMap;
use osier_policy::{
    CompiledPolicy, FailurePolicy, Fault, Generated, ObjectKey, Outcome, PolicyHost, PolicySet,
    Scope, Unavailable,
};
use serde_json::{Value, json};

use crate::fixture::*;

fn manifest() -> Value {
    json!({"attributes": {
        "caller.team": {"valueType": "STRING"},
        "caller.labels": {"valueType": "STRING_MAP"},
        "caller.known": {"valueType": "BOOL"},
        "caller.address": {"valueType": "IP_ADDRESS"},
        "caller.rank": {"valueType": "INT64"},
    }})
}

/// A host that knows the manifest.
fn speaking(world: &World) -> PolicyHost {
    let manifest = manifest();
    let (host, faults) = world.host.knowing([("callers", &manifest)]);
    assert!(faults.is_empty());
    host
}

fn machines(config: Value) -> Value {
    json!({"config": {"machines": config}, "limits": {"deadline": "1s"}})
}

fn known() -> Value {
    machines(
        json!([{"addresses": ["10.1.2.3"], "name": "desk", "labels": {"team": "payments", "site": "graz"}}]),
    )
}

fn asking(attributes: Value) -> Value {
    json!({"plugin": "machines", "template": "kubernetes", "attributes": attributes})
}

fn everything() -> Value {
    asking(json!({
        "caller.team": "output.source_labels['team']",
        "caller.labels": "output.source_labels",
        "caller.known": "has(output.source_pod_name)",
        "caller.address": "ip(output.source_pod_ip.orValue('0.0.0.0'))",
        "caller.rank": "size(output.source_labels.orValue({})) + 40",
    }))
}

struct Site {
    world: World,
    host: PolicyHost,
}

impl Site {
    fn new() -> Self {
        let world = World::new();
        let host = speaking(&world);
        Self { world, host }
    }

    fn try_policy(&self, name: &str, spec: &Value) -> Result<Arc<CompiledPolicy>, Vec<Fault>> {
        let machines = self.world.load("machines", INVENTORY, known());
        let list = self
            .world
            .load("list", LIST, json!({"config": {"entries": ["payments"]}}));
        let find = |wanted: &str| match wanted {
            "machines" => Some(machines.clone()),
            "list" => Some(list.clone()),
            _ => None,
        };
        let key = ObjectKey::new("default", name);
        self.host.check_policy(&key, spec, &find).map(Arc::new)
    }

    fn policy(&self, name: &str, spec: &Value) -> Arc<CompiledPolicy> {
        self.try_policy(name, spec)
            .unwrap_or_else(|faults| panic!("{faults:?}"))
    }
}

fn faults(site: &Site, spec: &Value) -> String {
    let faults = site.try_policy("p", spec).unwrap_err();
    let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
    words.join("\n")
}

fn listed() -> Value {
    json!({"match": "caller.known.orValue(false) && caller.rank == 42 && caller.address == ip('10.1.2.3') && caller.labels['site'] == 'graz'",
        "actions": [{"plugin": "list", "template": "listentry", "fields": {"value": "caller.team.orValue('nobody')"}}]})
}

#[test]
fn what_a_generator_tells_is_known_to_all_policies() {
    let site = Site::new();
    // `a` comes before `z` by name, and is asked after it all the same.
    let policies = vec![
        site.policy("a-may", &listed()),
        site.policy("z-who", &json!({"actions": [everything()]})),
    ];
    let set = PolicySet::new(policies, "osier-system");
    let approval = allowed(check(&set, &HeaderMap::new()));
    let outcomes: Vec<_> = (approval.decisions.iter())
        .map(|one| (&*one.policy, one.outcome, one.cached))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("default/z-who", Outcome::Generated, false),
            ("default/a-may", Outcome::Allowed, false)
        ]
    );
    assert!(approval.decisions[0].reason.contains("caller.team"));
    let told = approval.decisions[0].generated.as_deref().unwrap();
    let told: Vec<(&str, String)> = told.iter().collect();
    assert!(
        told.contains(&("caller.team", "payments".into())),
        "{told:?}"
    );
    // The same question again is the cache's.
    let approval = allowed(check(&set, &HeaderMap::new()));
    assert!(approval.decisions[0].cached);
    // Of another caller nothing is known.
    let nothing = HeaderMap::new();
    let mut other = attributes(&nothing);
    other.source.ip = Some("192.0.2.1".parse().unwrap());
    let approval = allowed(set.check(&scope(), &other));
    assert_eq!(approval.decisions.len(), 1, "the match does not hold");
}

#[test]
fn what_was_told_before_is_not_asked_again_and_what_was_stated_stays() {
    let site = Site::new();
    let policies = vec![
        site.policy("a-may", &listed()),
        site.policy("z-who", &json!({"actions": [everything()]})),
    ];
    let set = PolicySet::new(policies, "osier-system");
    let approval = allowed(check(&set, &HeaderMap::new()));
    let told: &Arc<Generated> = approval.decisions[0].generated.as_ref().unwrap();
    let later = Scope {
        generated: Some(told),
        ..scope()
    };
    let nothing = HeaderMap::new();
    let approval = allowed(set.check(&later, &attributes(&nothing)));
    assert_eq!(approval.decisions.len(), 1, "{approval:?}");
    let team = site.host.vocabulary().get("caller.team").unwrap();
    let mut extra = vec![osier_policy::Extra::Absent; 16];
    extra[team.place().unwrap()] = osier_policy::Extra::Text("mallory");
    let stated = osier_policy::Attributes {
        extra: &extra,
        ..attributes(&nothing)
    };
    let denial = denied(set.check(&scope(), &stated));
    assert_eq!(denial.reason, "`mallory` is not on the list");
}

#[test]
fn a_generator_without_an_answer_goes_by_the_failure_policy() {
    let site = Site::new();
    for (failure, passes) in [(FailurePolicy::Fail, false), (FailurePolicy::Ignore, true)] {
        let lost = |_: &str| {
            Err(Unavailable {
                reason: "gone".into(),
                failure,
            })
        };
        let key = ObjectKey::new("default", "who");
        let spec = json!({"actions": [everything()]});
        let policy = site.host.enforce_policy(&key, &spec, &lost).unwrap();
        let set = PolicySet::new(vec![Arc::new(policy)], "osier-system");
        match check(&set, &HeaderMap::new()) {
            osier_policy::Verdict::Allow(approval) => {
                assert!(passes);
                assert_eq!(approval.decisions[0].outcome, Outcome::Ignored);
            }
            osier_policy::Verdict::Deny(denial) => {
                assert!(!passes && denial.failed && denial.status == 503);
                assert_eq!(denial.decisions[0].reason, "gone");
            }
        }
    }
    // A value that cannot be computed is no answer either: none of the action's attributes is there.
    let action = asking(
        json!({"caller.rank": "1 / (size(output.source_labels.orValue({})) - 2)", "caller.team": "'x'"}),
    );
    let set = PolicySet::new(
        vec![site.policy("who", &json!({"actions": [action]}))],
        "osier-system",
    );
    let denial = denied(check(&set, &HeaderMap::new()));
    assert_eq!(
        denial.reason,
        "attribute caller.rank cannot be computed: division by zero"
    );
}

#[test]
fn in_shadow_mode_nothing_is_added() {
    let site = Site::new();
    let shadow = json!({"mode": "Shadow", "actions": [everything()]});
    let policies = vec![site.policy("may", &listed()), site.policy("who", &shadow)];
    let set = PolicySet::new(policies, "osier-system");
    let approval = allowed(check(&set, &HeaderMap::new()));
    assert_eq!(approval.decisions.len(), 1);
    assert_eq!(approval.decisions[0].outcome, Outcome::Generated);
}

#[test]
fn types_and_names_are_checked_when_it_is_applied() {
    let site = Site::new();
    let of = |attributes: Value| json!({"actions": [asking(attributes)]});
    for (spec, wanted) in [
        (
            of(json!({"caller.team": "output.source_labels"})),
            "spec.actions[0].attributes[caller.team]: the expression is map<string, string>, but the attribute is declared string",
        ),
        (
            of(json!({"caller.tema": "'x'"})),
            "spec.actions[0].attributes[caller.tema]: is not declared: apply an AttributeManifest with `caller.tema`; did you mean `caller.team`?",
        ),
        (
            of(json!({"request.path": "'x'"})),
            "is of the standard vocabulary, which only the host states",
        ),
        (of(json!({"caller.team": "output.team"})), "output.team"),
        (
            of(json!({})),
            "spec.actions[0].attributes: must name 1 to 64 attributes",
        ),
        (
            json!({"actions": [{"plugin": "machines", "template": "kubernetes"}]}),
            "spec.actions[0].attributes: template kubernetes generates attributes: name them",
        ),
        (
            json!({"actions": [{"plugin": "list", "template": "listentry", "fields": {"value": "'x'"}, "attributes": {"caller.team": "'x'"}}]}),
            "spec.actions[0].attributes: does not go with template listentry",
        ),
        (
            json!({"actions": [everything(), {"plugin": "list", "template": "listentry", "fields": {"value": "'x'"}}]}),
            "spec.actions: actions with attributes need a policy of their own",
        ),
        (
            json!({"actions": [everything()], "rollout": {"plugin": "machines", "percent": 5}}),
            "spec.rollout: does not go with actions that generate attributes",
        ),
        (
            json!({"actions": [{"plugin": "machines", "template": "kubernetes", "attributes": {"caller.team": "'x'"}, "amount": "1"}]}),
            "spec.actions[0].amount",
        ),
        (
            json!({"actions": [{"plugin": "machines", "template": "kubernetes", "fields": {"source-uid": "request.size"}, "attributes": {"caller.team": "'x'"}}]}),
            "spec.actions[0].fields.source-uid",
        ),
    ] {
        let told = faults(&site, &spec);
        assert!(told.contains(wanted), "{spec}: {told}");
    }
}

#[test]
fn filters_know_what_was_generated() {
    let site = Site::new();
    let filter = site.world.load(
        "rewrite",
        HEADER_REWRITE,
        json!({"config": {"request": {"set": {"x-a": "b"}}}}),
    );
    let spec = json!({"match": "caller.team == 'payments'", "actions": [{"plugin": "rewrite", "hook": "filter"}]});
    let key = ObjectKey::new("default", "filtered");
    let filtered = site
        .host
        .check_policy(&key, &spec, &|_| Some(filter.clone()))
        .unwrap();
    let policies = vec![
        Arc::new(filtered),
        site.policy("who", &json!({"actions": [everything()]})),
    ];
    let set = PolicySet::new(policies, "osier-system");
    let nothing = HeaderMap::new();
    let (mut trail, mut attributes) = (Vec::new(), attributes(&nothing));
    let found = set.filters(&scope(), &attributes, &mut trail).unwrap();
    assert_eq!((found.len(), trail.len()), (1, 1));
    attributes.source.ip = None;
    let found = set.filters(&scope(), &attributes, &mut trail).unwrap();
    assert!(found.is_empty());
}
