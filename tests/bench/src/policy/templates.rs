//! One call into each of the first-party plugins, by the template or hook that it answers: Rust components, with as many attributes as such a policy has.

use super::workbench::{Case, measure};
use super::{row, table};
use crate::Bench;
use anyhow::{Context, Result};
use osier_tests::artifacts::component;
use serde_json::{Value, json};

/// How long each is measured.
const SECONDS: &str = "1";

/// What is asked, of whom, and with which fixture.
const ASKED: &[(&str, &str, &str)] = &[
    (
        "a `match` of two terms, that holds",
        "denier",
        r#"
match: request.method == "POST" && source.namespace != "admin"
action: {template: checknothing}
cases: [{name: a, attributes: {request.method: POST, source.namespace: shop}, expect: {verdict: deny}}]"#,
    ),
    (
        "`checknothing`",
        "denier",
        r#"
action: {template: checknothing}
cases: [{name: a, expect: {verdict: deny}}]"#,
    ),
    (
        "`listentry`, one attribute",
        "list",
        r#"
plugin: {config: {entries: [eve], mode: Deny}}
action: {template: listentry, fields: {value: 'request.headers["x-user"].orValue("")'}}
cases: [{name: a, attributes: {request.headers: {x-user: ann}}, expect: {verdict: allow}}]"#,
    ),
    (
        "`apikey`, four attributes",
        "apikey",
        r#"
plugin: {config: {keys: [{sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b, consumer: acme}]}}
action: {template: apikey}
cases: [{name: a, attributes: {request.headers: {x-api-key: secret}, request.method: GET, request.path: /a}, expect: {verdict: allow}}]"#,
    ),
    (
        "`authorization`, ten attributes",
        "rbac",
        r#"
plugin: {config: {roles: [{name: reader, rules: [{methods: [GET], paths: ["/reviews/*"]}]}], bindings: [{role: reader, users: ["*"]}]}}
action:
  template: authorization
  fields:
    subject.user: source.principal.orValue("")
    subject.groups: 'request.headers["x-groups"].orValue("").split(",")'
    subject.properties: '{"namespace": source.namespace, "workload": source.workload.name, "address": source.ip}'
    action.namespace: destination.service.namespace.orValue("")
    action.service: destination.service.name.orValue("")
    action.method: request.method
    action.path: request.url_path
    action.properties: '{"port": destination.port}'
cases:
- name: a
  attributes:
    source.principal: cluster.local/ns/shop/sa/web
    source.namespace: shop
    source.workload.name: web
    source.ip: 10.1.2.3
    destination.service.namespace: shop
    destination.service.name: reviews
    destination.port: 9080
    request.method: GET
    request.path: /reviews/1?full=yes
    request.headers: {x-groups: "readers,editors"}
  expect: {verdict: allow}"#,
    ),
    (
        "`quota`, a token bucket of the node",
        "rate-limit",
        r#"
plugin: {config: {limit: 1000000000, window: 1s}, grants: {keyvalue: [rate-limit]}}
action: {template: quota, fields: {dimensions: '{"user": request.headers["x-user"]}'}, amount: "1"}
cases: [{name: a, attributes: {request.headers: {x-user: ann}}, expect: {verdict: allow}}]"#,
    ),
    (
        "`quota`, leased by a thousand",
        "rate-limit",
        r#"
plugin: {config: {limit: 1000000000, window: 1s, lease: {amount: 1000, validFor: 1s}}, grants: {keyvalue: [rate-limit]}}
action: {template: quota, fields: {dimensions: '{"user": request.headers["x-user"]}'}, amount: "1"}
cases: [{name: a, attributes: {request.headers: {x-user: ann}}, expect: {verdict: allow}}]"#,
    ),
    (
        "`kubernetes`, an attribute generator",
        "inventory",
        r#"
manifest: {caller.team: {valueType: STRING}}
plugin: {config: {machines: [{addresses: [10.20.0.0/16], labels: {team: payments}}]}}
action: {template: kubernetes, attributes: {caller.team: 'output.source_labels["team"]'}}
cases: [{name: a, attributes: {source.ip: 10.20.1.1}, expect: {verdict: allow}}]"#,
    ),
    (
        "hook `filter`, headers of request and response",
        "header-rewrite",
        r#"
plugin: {config: {request: {remove: [x-debug]}, response: {set: {x-filtered: "yes"}}}}
action: {hook: filter}
cases:
- name: a
  given: {request: {method: GET, path: /, headers: {x-debug: "1", accept: "*/*"}}, response: {status: 200, headers: {content-type: text/plain}}}
  expect: {verdict: allow}"#,
    ),
    (
        "hook `route`, two destinations",
        "ab-route",
        r#"
plugin: {config: {subset: v2, header: x-tester}}
action: {hook: route}
cases:
- name: a
  given: {request: {headers: {x-tester: "1"}}, destinations: [{host: web, subset: v1, weight: 100}, {host: web, subset: v2, weight: 0}]}
  expect: {verdict: allow, chosen: v2}"#,
    ),
    (
        "hook `balance`, three endpoints",
        "sticky-header",
        r#"
plugin: {config: {header: x-user}}
action: {hook: balance}
cases:
- name: a
  given: {request: {headers: {x-user: ann}}, endpoints: [{pod: a, node: n, inFlight: 3}, {pod: b, node: n, inFlight: 1}, {pod: c, node: m, inFlight: 2}]}
  expect: {verdict: allow}"#,
    ),
    (
        "hook `admit`",
        "require-labels",
        r#"
plugin: {config: {labels: [team]}}
action: {hook: admit, kinds: [{group: "*", kind: "*"}]}
cases:
- name: a
  given: {write: {user: alice, object: {apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {team: web}}}}}
  expect: {verdict: allow}"#,
    ),
    (
        "hook `schedule`, three nodes",
        "bin-pack",
        r#"
plugin: {config: {by: cpu}}
action: {hook: schedule}
cases:
- name: a
  given: {pod: {metadata: {name: web-1}}, nodes: [{name: a, pods: 10}, {name: b, pods: 130}, {name: c, pods: 1}]}
  expect: {verdict: allow}"#,
    ),
];

/// One row for each.
pub(super) fn compare(bench: &Bench) -> Result<Value> {
    table(
        "One call into a first-party plugin (a Rust component; `osier plugin bench`). Targets: a check with ten attributes under 5 µs, a header filter under 10 µs, \
         a `match` of two terms under 50 ns, ten fields under 1 µs.",
        &[
            "asked",
            "p50 µs",
            "p99 µs",
            "of which `match` and fields, ns",
            "from the cache or a lease",
        ],
    );
    let folder = tempfile::tempdir()?;
    let mut figures = Vec::new();
    for (what, plugin, fixture) in ASKED {
        let file = folder.path().join(format!("{plugin}.yaml"));
        std::fs::write(&file, fixture)?;
        let component = component(&format!("plugins/{plugin}"))?;
        let cases = measure(&bench.binary, (&component, &file), SECONDS);
        let cases = cases.with_context(|| format!("{plugin}, {what}"))?;
        let case = cases.first().context("no case")?;
        row(&shown(what, case));
        figures.push(json!({"asked": what, "p50_us": case.p50, "p99_us": case.p99, "fields_ns": case.fields, "cached": case.cached}));
    }
    Ok(figures.into())
}

fn shown(what: &str, case: &Case) -> [String; 5] {
    let fields = case
        .fields
        .map_or_else(String::new, |nanos| format!("{nanos:.0}"));
    [
        what.to_owned(),
        format!("{:.1}", case.p50),
        format!("{:.1}", case.p99),
        fields,
        format!("{:.1} %", case.cached * 100.0),
    ]
}
