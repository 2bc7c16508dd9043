//! Whom a policy concerns.

use crate::fixture::{DENIER, World, attributes};
use osier_policy::{Direction, ObjectKey, PolicySet, Scope, Texts, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The status that a call in `scope` gets from policies, each with a denier of its own status.
fn status(policies: &[(&str, u16, Value)], scope: &Scope<'_>) -> u16 {
    let world = World::new();
    let compiled = policies.iter().map(|(namespace, status, spec)| {
        let plugin = world.load(
            &format!("d{status}"),
            DENIER,
            json!({"config": {"status": status}}),
        );
        let mut spec = spec.clone();
        spec["actions"] = json!([{"plugin": "d", "template": "checknothing"}]);
        let key = ObjectKey::new(*namespace, format!("p{status}"));
        Arc::new(
            world
                .host
                .check_policy(&key, &spec, &|_| Some(plugin.clone()))
                .unwrap(),
        )
    });
    let set = PolicySet::new(compiled.collect(), "osier-system");
    let headers = http::HeaderMap::new();
    match set.check(scope, &attributes(&headers)) {
        Verdict::Allow(_) => 200,
        Verdict::Deny(denial) => denial.status,
    }
}

fn service(name: &str) -> Value {
    json!({"targetRefs": [{"kind": "Service", "name": name}]})
}

fn inbound<'a>(namespace: &'a str, service: &'a str) -> Scope<'a> {
    Scope {
        direction: Direction::Inbound,
        namespace,
        service: Some(service),
        gateway: None,
        gateways: &[],
        labels: Texts::Empty,
        generated: None,
    }
}

#[test]
fn a_service_in_its_own_namespace() {
    let policies = [("default", 403, service("reviews"))];
    assert_eq!(status(&policies, &inbound("default", "reviews")), 403);
    assert_eq!(status(&policies, &inbound("default", "ratings")), 200);
    assert_eq!(status(&policies, &inbound("shop", "reviews")), 200);
}

#[test]
fn a_namespace_and_the_mesh() {
    let own = [("default", 403, json!({}))];
    assert_eq!(status(&own, &inbound("default", "x")), 403);
    assert_eq!(status(&own, &inbound("shop", "x")), 200);
    let mesh = [("osier-system", 403, json!({}))];
    assert_eq!(status(&mesh, &inbound("shop", "x")), 403);
    let named = json!({"targetRefs": [{"kind": "Namespace", "name": "shop"}]});
    assert_eq!(
        status(
            &[("osier-system", 403, named.clone())],
            &inbound("shop", "x")
        ),
        403
    );
    assert_eq!(
        status(&[("default", 403, named)], &inbound("shop", "x")),
        200,
        "only the root namespace speaks for another"
    );
}

#[test]
fn the_direction_counts() {
    let mut outbound = service("reviews");
    outbound["direction"] = json!("Outbound");
    let policies = [("default", 403, outbound)];
    let mut scope = inbound("default", "reviews");
    assert_eq!(status(&policies, &scope), 200);
    scope.direction = Direction::Outbound;
    assert_eq!(status(&policies, &scope), 403);
}

#[test]
fn workloads_by_labels() {
    let policies = [(
        "default",
        403,
        json!({"selector": {"matchLabels": {"app": "web"}}}),
    )];
    let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
    let mut scope = inbound("default", "x");
    assert_eq!(status(&policies, &scope), 200);
    scope.labels = Texts::Tree(&labels);
    assert_eq!(status(&policies, &scope), 403);
}

#[test]
fn a_gateway_is_the_callers_side() {
    for group in ["", "networking.istio.io", "gateway.networking.k8s.io"] {
        let policies = [(
            "default",
            403,
            json!({"targetRefs": [{"group": group, "kind": "Gateway", "name": "public"}]}),
        )];
        let mut scope = inbound("default", "reviews");
        let through = ["shop/web".into(), "default/public".into()];
        scope.gateways = &through;
        assert_eq!(status(&policies, &scope), 200, "not twice");
        scope.direction = Direction::Outbound;
        assert_eq!(status(&policies, &scope), 403);
        let others = ["default/other".into(), "shop/public".into()];
        scope.gateways = &others;
        assert_eq!(status(&policies, &scope), 200);
    }
}

#[test]
fn what_serves_all_gateways_is_one_as_well() {
    let of = |name: &str| {
        let target = json!({"targetRefs": [{"kind": "Gateway", "name": name}]});
        [("default", 403, target)]
    };
    let web: [std::sync::Arc<str>; 1] = ["shop/web".into()];
    let through = |gateway, gateways| Scope {
        direction: Direction::Outbound,
        gateway,
        gateways,
        ..inbound("default", "reviews")
    };
    // An Ingress is served by no Gateway.
    for gateways in [&[][..], &web[..]] {
        let scope = through(Some("gateway"), gateways);
        assert_eq!(status(&of("gateway"), &scope), 403);
        assert_eq!(status(&of("public"), &scope), 200);
    }
    let scope = through(None, &[]);
    assert_eq!(status(&of("gateway"), &scope), 200, "between pods");
}

#[test]
fn the_mesh_comes_first_then_the_order_of_names() {
    let policies = [
        ("default", 405, json!({})),
        ("default", 404, json!({})),
        ("osier-system", 499, json!({})),
    ];
    assert_eq!(status(&policies, &inbound("default", "x")), 499);
    assert_eq!(status(&policies[..2], &inbound("default", "x")), 404);
}
