//! What did not change is the same value in the next snapshot.

use super::*;

fn world() -> World {
    let mut world = World::default();
    world
        .service("a", "one", &["v1", "v2"])
        .service("b", "one", &["v1"])
        .service("c", "two", &["v1"]);
    world.virtual_service(
        "r",
        json!({"hosts": ["a.one"], "http": [{"route": [{"destination": {"host": "a.one"}}]}]}),
    );
    world
}

fn service<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Arc<crate::Service> {
    snapshot.service(name, None).unwrap()
}

#[test]
fn an_unchanged_mesh_is_shared_whole() {
    let world = world();
    let first = world.snapshot();
    let (second, _) = world.compile(Some(&first));
    for name in ["a.one", "b.one", "c.two"] {
        assert!(
            Arc::ptr_eq(service(&first, name), service(&second, name)),
            "{name}"
        );
    }
    for namespace in ["one", "two"] {
        assert!(Arc::ptr_eq(
            &first.namespaces[namespace],
            &second.namespaces[namespace]
        ));
    }
    let from = caller("one");
    let route = |snapshot: &Snapshot| {
        snapshot
            .route(&Origin::Workload(&from), &get("http://a/", &[]))
            .unwrap()
            .route
    };
    assert!(Arc::ptr_eq(&route(&first), &route(&second)));
}

#[test]
fn a_lost_pod_changes_its_service_only_and_keeps_the_load_of_the_others() {
    let mut world = world();
    let first = world.snapshot();
    let kept = Arc::clone(&service(&first, "a.one").ports[0].cluster.endpoints[1]);
    let _request = kept.enter();
    let turns = [0, 1].map(|_| service(&first, "a.one").ports[0].cluster.next_turn());
    assert_eq!(turns, [0, 1]);
    let mut changed = (*world.endpoints[0]).clone().into_value();
    changed["subsets"][0]["addresses"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    world.endpoints[0] = object(changed);
    let (second, _) = world.compile(Some(&first));
    let cluster = &service(&second, "a.one").ports[0].cluster;
    assert_eq!(cluster.endpoints.len(), 1);
    assert!(Arc::ptr_eq(&cluster.endpoints[0], &kept));
    assert_eq!(cluster.endpoints[0].in_flight(), 1);
    assert_eq!(cluster.next_turn(), 2, "the round goes on");
    assert!(Arc::ptr_eq(
        service(&first, "b.one"),
        service(&second, "b.one")
    ));
    assert!(Arc::ptr_eq(
        &first.namespaces["two"],
        &second.namespaces["two"]
    ));
    let from = caller("one");
    let route = |snapshot: &Snapshot| {
        snapshot
            .route(&Origin::Workload(&from), &get("http://a/", &[]))
            .unwrap()
            .route
    };
    assert!(
        Arc::ptr_eq(&route(&first), &route(&second)),
        "endpoints do not touch routes"
    );
}

#[test]
fn a_pods_status_may_change_without_a_new_workload() {
    let mut world = world();
    let first = world.snapshot();
    let mut changed = (*world.pods[0]).clone().into_value();
    changed["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    changed["metadata"]["resourceVersion"] = json!("99");
    world.pods[0] = object(changed);
    let (second, _) = world.compile(Some(&first));
    assert!(Arc::ptr_eq(
        service(&first, "a.one"),
        service(&second, "a.one")
    ));
}

#[test]
fn the_result_does_not_depend_on_what_was_before() {
    let (mut before, after) = (World::default(), world());
    before
        .service("a", "one", &["v9"])
        .service("z", "zoo", &["v1"]);
    before.virtual_service(
        "r",
        json!({"hosts": ["a.one"], "http": [{"directResponse": {"status": 500}}]}),
    );
    let (fresh, fresh_findings) = after.compile(None);
    let (grown, grown_findings) = after.compile(Some(&before.snapshot()));
    assert_eq!(fresh_findings, grown_findings);
    let from = caller("one");
    for uri in ["http://a/", "http://b/", "http://c.two/", "http://z.zoo/"] {
        let head = get(uri, &[]);
        assert_eq!(
            ways(&fresh, &Origin::Workload(&from), &head),
            ways(&grown, &Origin::Workload(&from), &head),
            "{uri}"
        );
    }
}
