//! VirtualServices: which requests go where, and what is done to them.

use std::time::Duration;

use super::*;
use crate::{HeaderOperation, Miss, Percentage, Route};

const REVIEWS: &str = "reviews.default.svc.cluster.local";

fn world(spec: Value) -> World {
    let mut world = World::default();
    world
        .service("reviews", "default", &["v1", "v2"])
        .service("productpage", "default", &["v1"]);
    let subsets = json!([{"name": "v1", "labels": {"version": "v1"}}, {"name": "v2", "labels": {"version": "v2"}}]);
    world
        .destination_rule("reviews", json!({"host": "reviews", "subsets": subsets}))
        .virtual_service("routes", spec);
    world
}

fn to(subset: &str) -> Value {
    json!({"destination": {"host": "reviews", "subset": subset}})
}

fn cluster(subset: &str) -> Option<String> {
    Some(format!("outbound|80|{subset}|{REVIEWS}"))
}

#[test]
fn the_first_rule_that_matches_wins() {
    let world = world(json!({"hosts": ["reviews"], "http": [
        {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": [to("v2")]},
        {"match": [{"uri": {"prefix": "/api"}, "method": {"exact": "POST"}}, {"uri": {"regex": "/v[0-9]+/x"}}], "route": [to("v2")]},
        {"route": [to("v1")]},
    ]}));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let from = caller("default");
    let way = |uri: &str, headers: &[(&str, &str)]| {
        super::way(&snapshot, &Origin::Workload(&from), &get(uri, headers))
    };
    assert_eq!(
        way("http://reviews/", &[("end-user", "jason")]),
        cluster("v2")
    );
    assert_eq!(
        way("http://reviews/", &[("end-user", "jasonx")]),
        cluster("v1")
    );
    assert_eq!(way("http://reviews/api", &[]), cluster("v1"), "a GET");
    assert_eq!(way("http://reviews/v12/x", &[]), cluster("v2"));
    assert_eq!(
        way("http://reviews/v12/xy", &[]),
        cluster("v1"),
        "an expression matches the whole path"
    );
}

#[test]
fn every_condition_is_asked() {
    let conditions = [
        (
            json!({"queryParams": {"q": {"exact": "1"}}}),
            "http://reviews/?a=b&q=1",
            "http://reviews/?q=12",
        ),
        (
            json!({"queryParams": {"q": {}}}),
            "http://reviews/?q",
            "http://reviews/?r",
        ),
        (
            json!({"authority": {"prefix": "reviews.def"}}),
            "http://reviews.default/",
            "http://reviews/",
        ),
        (
            json!({"scheme": {"exact": "https"}}),
            "https://reviews:80/",
            "http://reviews/",
        ),
        (json!({"port": 80}), "http://reviews/", "http://reviews:81/"),
        (
            json!({"uri": {"exact": "/Login"}, "ignoreUriCase": true}),
            "http://reviews/lOGIN",
            "http://reviews/login/",
        ),
        (
            json!({"uri": {"prefix": "/A/"}, "ignoreUriCase": true}),
            "http://reviews/a/b",
            "http://reviews/b",
        ),
    ];
    for (condition, hit, other) in conditions {
        let rules = json!([{"match": [condition], "route": [to("v2")]}, {"route": [to("v1")]}]);
        let (snapshot, findings) =
            world(json!({"hosts": ["reviews"], "http": rules})).compile(None);
        assert_eq!(findings, [], "{condition}");
        let from = caller("default");
        let found = |uri| ways(&snapshot, &Origin::Workload(&from), &get(uri, &[]));
        assert_eq!(found(hit)[0].0, cluster("v2").unwrap(), "{condition} {hit}");
        assert!(!found(other)[0].0.contains("|v2|"), "{condition} {other}");
    }
}

#[test]
fn header_conditions_cover_presence_absence_and_lists() {
    let rules = json!([
        {"match": [{"headers": {"x-a": {}}, "withoutHeaders": {"x-b": {"prefix": "no"}}}], "route": [to("v2")]},
        {"match": [{"headers": {"x-list": {"exact": "1,2"}}}], "route": [to("v2")]},
        {"route": [to("v1")]},
    ]);
    let snapshot = world(json!({"hosts": ["reviews"], "http": rules})).snapshot();
    let from = caller("default");
    let way = |headers: &[(&str, &str)]| {
        super::way(
            &snapshot,
            &Origin::Workload(&from),
            &get("http://reviews/", headers),
        )
    };
    assert_eq!(way(&[]), cluster("v1"));
    assert_eq!(way(&[("x-a", "")]), cluster("v2"));
    assert_eq!(way(&[("x-a", ""), ("x-b", "nope")]), cluster("v1"));
    assert_eq!(way(&[("x-a", ""), ("x-b", "yes")]), cluster("v2"));
    assert_eq!(way(&[("x-list", "1"), ("x-list", "2")]), cluster("v2"));
}

#[test]
fn rules_may_ask_who_calls() {
    let rules = json!([
        {"match": [{"sourceLabels": {"app": "caller"}, "sourceNamespace": "default"}], "route": [to("v2")]},
        {"route": [to("v1")]},
    ]);
    let snapshot =
        world(json!({"hosts": [REVIEWS, "*"], "gateways": ["mesh", "edge"], "http": rules}))
            .snapshot();
    let head = get(&format!("http://{REVIEWS}/"), &[]);
    assert_eq!(
        way(&snapshot, &Origin::Workload(&caller("default")), &head),
        cluster("v2")
    );
    assert_eq!(
        way(&snapshot, &Origin::Workload(&caller("other")), &head),
        cluster("v1")
    );
    assert_eq!(
        way(&snapshot, &OUTSIDE, &head),
        cluster("v1"),
        "from outside nobody has labels"
    );
}

#[test]
fn gateway_routes_and_mesh_routes_are_kept_apart() {
    let spec = json!({"hosts": ["*"], "gateways": ["edge"], "http": [{"route": [to("v2")]}]});
    let mut world = world(spec);
    let servers =
        json!([{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]);
    world.gateway(
        "edge",
        json!({"selector": {"istio": "ingressgateway"}, "servers": servers}),
    );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let (from, head) = (caller("default"), get("http://reviews/", &[]));
    let inside = Origin::Workload(&from);
    assert_eq!(
        way(&snapshot, &OUTSIDE, &get("http://anything/", &[])),
        cluster("v2")
    );
    assert_eq!(way(&snapshot, &inside, &head), cluster(""));
    world.virtual_service(
        "m",
        json!({"hosts": ["reviews"], "http": [{"route": [to("v1")]}]}),
    );
    let snapshot = world.snapshot();
    assert_eq!(way(&snapshot, &inside, &head), cluster("v1"));
    assert_eq!(way(&snapshot, &OUTSIDE, &head), cluster("v2"));
}

#[test]
fn a_rule_may_narrow_its_gateways() {
    let rules = json!([
        {"match": [{"uri": {"prefix": "/x"}, "gateways": ["mesh"]}], "route": [to("v2")]},
        {"route": [to("v1")]},
    ]);
    let snapshot =
        world(json!({"hosts": [REVIEWS], "gateways": ["mesh", "edge"], "http": rules})).snapshot();
    let head = get(&format!("http://{REVIEWS}/x"), &[]);
    assert_eq!(
        way(&snapshot, &Origin::Workload(&caller("default")), &head),
        cluster("v2")
    );
    assert_eq!(way(&snapshot, &OUTSIDE, &head), cluster("v1"));
}

#[test]
fn a_gateway_limits_the_hosts_that_bind_to_it() {
    let mut world = world(
        json!({"hosts": ["*", "b.org"], "gateways": ["edge"], "http": [{"route": [to("v1")]}]}),
    );
    world.gateway(
        "edge",
        json!({"servers": [{"hosts": ["*.example.com", "a.com"]}]}),
    );
    let (snapshot, findings) = world.compile(None);
    assert!(way(&snapshot, &OUTSIDE, &get("http://x.example.com/", &[])).is_some());
    assert!(way(&snapshot, &OUTSIDE, &get("http://a.com:8080/", &[])).is_some());
    let head = get("http://b.org/", &[]);
    assert_eq!(
        snapshot.miss(&OUTSIDE, &head),
        Miss::UnknownHost("b.org".into())
    );
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].field, "spec.hosts[1]");
}

#[test]
fn objects_for_one_host_are_joined_at_the_gateway() {
    let spec = |prefix: &str, subset| {
        json!({"hosts": ["a.com"], "gateways": ["edge"],
            "http": [{"match": [{"uri": {"prefix": prefix}}], "route": [to(subset)]}]})
    };
    let mut world = world(spec("/", "v1"));
    world
        .virtual_service("second", spec("/two", "v2"))
        .gateway("edge", json!({"servers": [{"hosts": ["*"]}]}));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    assert_eq!(
        way(&snapshot, &OUTSIDE, &get("http://a.com/two", &[])),
        cluster("v2"),
        "a catch-all does not hide it"
    );
    assert_eq!(
        way(&snapshot, &OUTSIDE, &get("http://a.com/one", &[])),
        cluster("v1")
    );
}

#[test]
fn weights_share_and_an_unmatched_request_has_no_rule() {
    let mut shares = [to("v1"), to("v2")];
    shares[0]["weight"] = json!(90);
    shares[1]["weight"] = json!(10);
    let rules = json!([{"match": [{"uri": {"exact": "/only"}}], "route": shares}]);
    let snapshot = world(json!({"hosts": ["reviews"], "http": rules})).snapshot();
    let from = caller("default");
    let origin = Origin::Workload(&from);
    let found = ways(&snapshot, &origin, &get("http://reviews/only", &[]));
    assert_eq!(
        found,
        [(cluster("v1").unwrap(), 90), (cluster("v2").unwrap(), 10)]
    );
    let other = get("http://reviews/other", &[]);
    assert!(snapshot.route(&origin, &other).is_none());
    assert_eq!(
        snapshot.miss(&origin, &other),
        Miss::NoRule("reviews".into())
    );
    let matched = snapshot
        .route(&origin, &get("http://reviews/only", &[]))
        .unwrap();
    let Action::Forward(forward) = &matched.route.action else {
        unreachable!()
    };
    let chosen = |point| {
        forward
            .choose(point)
            .unwrap()
            .destination
            .subset
            .as_deref()
            .unwrap()
    };
    assert_eq!(
        (chosen(0), chosen(89), chosen(90), chosen(99)),
        ("v1", "v1", "v2", "v2")
    );
}

fn only_route(http: Value) -> (Arc<Route>, Vec<Finding>) {
    let (snapshot, findings) = world(json!({"hosts": ["reviews"], "http": [http]})).compile(None);
    let from = caller("default");
    let head = get("http://reviews/old/x", &[]);
    (
        snapshot
            .route(&Origin::Workload(&from), &head)
            .unwrap()
            .route,
        findings,
    )
}

#[test]
fn actions_are_read_whole() {
    let (route, findings) = only_route(json!({
        "name": "all", "route": [to("v1")],
        "timeout": "1.5s", "retries": {"attempts": 3, "perTryTimeout": "200ms", "retryOn": "5xx,reset,unavailable,418"},
        "rewrite": {"uri": "/new", "authority": "elsewhere"},
        "headers": {"request": {"set": {"x-a": "1"}, "add": {"x-b": "2"}, "remove": ["x-c"]}, "response": {"set": {"x-d": "4"}}},
        "fault": {"delay": {"fixedDelay": "5s", "percentage": {"value": 0.1}}, "abort": {"httpStatus": 503, "percentage": {"value": 100}}},
    }));
    assert_eq!(findings, []);
    assert_eq!(&*route.name, "default/routes/all");
    assert_eq!(route.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(
        (route.retries.attempts, route.retries.per_try_timeout),
        (3, Some(Duration::from_millis(200)))
    );
    let on = &route.retries.on;
    assert!(on.server_error && on.reset && !on.connect_failure);
    assert_eq!(
        (on.grpc.as_slice(), on.status.as_slice()),
        (&[14][..], &[418][..])
    );
    assert_eq!(route.rewrite.authority.as_ref().unwrap(), "elsewhere");
    assert_eq!(route.headers.request.len(), 3);
    assert!(matches!(&route.headers.request[0], HeaderOperation::Remove(name) if name == "x-c"));
    assert_eq!(route.fault.delay.unwrap().share, Percentage(1_000));
    assert_eq!(
        route.fault.abort.unwrap().share,
        Percentage(Percentage::WHOLE)
    );
}

#[test]
fn redirects_and_fixed_answers_need_no_destination() {
    let (route, findings) =
        only_route(json!({"redirect": {"uri": "/b", "authority": "c", "redirectCode": 307}}));
    assert_eq!(findings, []);
    assert!(matches!(&route.action, Action::Redirect(redirect) if redirect.status == 307));
    let (route, findings) =
        only_route(json!({"directResponse": {"status": 418, "body": {"string": "teapot"}}}));
    assert_eq!(findings, []);
    assert!(matches!(&route.action, Action::Direct(direct) if direct.body == "teapot"));
}

#[test]
fn a_matched_prefix_is_known_for_its_rewrite() {
    let rules = json!([{"match": [{"uri": {"prefix": "/api"}}], "route": [to("v1")]}]);
    let snapshot = world(json!({"hosts": ["reviews"], "http": rules})).snapshot();
    let from = caller("default");
    let found = snapshot
        .route(&Origin::Workload(&from), &get("http://reviews/api/x", &[]))
        .unwrap();
    assert_eq!(found.matched_prefix, Some(4));
}

#[test]
fn a_route_may_name_what_no_service_is() {
    let snapshot =
        world(json!({"hosts": ["virtual", "site.example"], "http": [{"route": [to("v1")]}]}))
            .snapshot();
    let from = caller("default");
    for host in [
        "virtual",
        "site.example",
        "virtual.default.svc.cluster.local",
    ] {
        let head = get(&format!("http://{host}/"), &[]);
        assert_eq!(
            way(&snapshot, &Origin::Workload(&from), &head),
            cluster("v1"),
            "{host}"
        );
    }
}

#[test]
fn copies_have_their_own_route_and_share() {
    let (route, findings) = only_route(json!({
        "route": [to("v1")], "mirror": {"host": "reviews", "subset": "v2"}, "mirrorPercentage": {"value": 5},
        "mirrors": [{"destination": {"host": "gone"}}],
    }));
    let shares: Vec<_> = route.mirrors.iter().map(|mirror| mirror.share.0).collect();
    assert_eq!(shares, [50_000, 1_000_000]);
    assert_eq!(
        &*route.mirrors[0].route.name,
        "default/routes/http[0]/mirror"
    );
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].field, "spec.http[0].mirror");
    assert!(findings[0].detail.contains("gone.default"));
}

#[test]
fn a_delegate_decides_within_what_its_root_leaves_it() {
    let mut world = World::default();
    for name in ["reviews", "ratings", "spy"] {
        world.service(name, "default", &["v1"]);
    }
    world.virtual_service("root", json!({"hosts": ["shop"], "http": [
        {"name": "r", "match": [{"uri": {"prefix": "/reviews"}}], "delegate": {"name": "leaf"}, "timeout": "3s", "mirror": {"host": "spy"}},
        {"match": [{"uri": {"prefix": "/gone"}}], "delegate": {"name": "nobody"}},
        {"route": [{"destination": {"host": "ratings"}}]},
    ]}));
    let leaf = json!({"http": [
        {"match": [{"uri": {"prefix": "/other"}}], "route": [{"destination": {"host": "ratings"}}]},
        {"name": "new", "match": [{"uri": {"prefix": "/reviews/v2"}}], "directResponse": {"status": 202}, "timeout": "1s"},
        {"delegate": {"name": "root"}},
        {"route": [{"destination": {"host": "reviews"}}]},
    ]});
    world.virtual_service("leaf", leaf.clone());
    let (snapshot, findings) = world.compile(None);
    let said: Vec<_> = findings
        .iter()
        .map(|finding| (finding.name.as_str(), finding.field.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("leaf", "spec.http[2].delegate"),
            ("root", "spec.http[0].delegate"),
            ("root", "spec.http[1].delegate")
        ]
    );
    let from = caller("default");
    let found = |snapshot: &Snapshot, path: &str| {
        let head = get(&format!("http://shop{path}"), &[]);
        snapshot
            .route(&Origin::Workload(&from), &head)
            .unwrap()
            .route
    };
    let (new, rest) = (
        found(&snapshot, "/reviews/v2/x"),
        found(&snapshot, "/reviews/1"),
    );
    assert_eq!(
        (&*new.name, new.timeout),
        ("default/root/r-new", Some(Duration::from_secs(1)))
    );
    assert_eq!(
        (&*rest.name, rest.timeout),
        ("default/root/r-http[3]", Some(Duration::from_secs(3)))
    );
    assert_eq!(rest.mirrors.len(), 1);
    assert_eq!(&*found(&snapshot, "/other").name, "default/root/http[2]");
    // Nothing changed: nothing is read again. The delegate changed: its root is.
    let (again, _) = world.compile(Some(&snapshot));
    assert!(Arc::ptr_eq(&found(&again, "/reviews/1"), &rest));
    world.virtual_services.pop();
    world.virtual_service(
        "leaf",
        json!({"http": [leaf["http"][3]], "exportTo": ["*"]}),
    );
    let (changed, _) = world.compile(Some(&snapshot));
    assert_eq!(
        &*found(&changed, "/reviews/v2/x").name,
        "default/root/r-http[0]"
    );
}
