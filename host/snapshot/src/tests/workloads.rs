//! What of a pod makes its workload: who controls it, and which container a port is.

use crate::Workload;
use osier_api::Object;
use serde_json::{Value, json};

fn workload(pod: Value) -> Workload {
    Workload::from_pod(&Object::from_value(pod).unwrap(), "cluster.local")
}

fn owned(labels: Value, version: &str, kind: &str, name: &str) -> (String, String) {
    let owner = json!({"apiVersion": version, "kind": kind, "name": name, "controller": true});
    let metadata =
        json!({"name": "web-1", "namespace": "shop", "labels": labels, "ownerReferences": [owner]});
    let found = workload(json!({"metadata": metadata}));
    (found.workload.to_string(), found.controller.into_owned())
}

#[test]
fn a_pod_is_its_controllers() {
    let named = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    for (labels, version, kind, name, wanted) in [
        (
            json!({"pod-template-hash": "5d"}),
            "apps/v1",
            "ReplicaSet",
            "web-5d",
            named("web", "apps/v1/deployments"),
        ),
        (
            json!({}),
            "apps/v1",
            "ReplicaSet",
            "web-5d",
            named("web-5d", "apps/v1/replicasets"),
        ),
        (
            json!({}),
            "apps/v1",
            "StatefulSet",
            "db",
            named("db", "apps/v1/statefulsets"),
        ),
        (
            json!({}),
            "batch/v1",
            "Job",
            "once",
            named("once", "batch/v1/jobs"),
        ),
        (
            json!({}),
            "v1",
            "ReplicationController",
            "old",
            named("old", "v1/replicationcontrollers"),
        ),
    ] {
        assert_eq!(owned(labels, version, kind, name), wanted);
    }
    let alone = workload(json!({"metadata": {"name": "web-1", "namespace": "shop"}}));
    assert_eq!((&*alone.workload, &*alone.controller), ("web-1", "v1/pods"));
}

#[test]
fn a_port_is_the_container_that_names_it_or_the_only_one() {
    let of = |containers: Value, port| {
        let pod = json!({"metadata": {"name": "web-1"}, "spec": {"containers": containers}});
        let found = workload(pod);
        let container = found.container(port);
        container.map(|one| format!("{} {}", one.name, one.image))
    };
    let web = json!({"name": "web", "image": "web:1", "ports": [{"containerPort": 8080}]});
    let beside = json!({"name": "beside", "image": "b:1"});
    assert_eq!(
        of(json!([&web, &beside]), 8080).as_deref(),
        Some("web web:1")
    );
    assert_eq!(of(json!([&web, &beside]), 9090), None);
    assert_eq!(of(json!([&beside]), 9090).as_deref(), Some("beside b:1"));
}
