//! What a namespace bounds: LimitRanges, quotas, priorities, and the other kinds that are kept.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::server::{MAPS, PODS, Server, map, pod};

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";

async fn quota(server: &Server, hard: Value) {
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
    server.post(QUOTAS, quota).await.good();
}

async fn used(server: &Server, name: &str) -> Value {
    let quota = server.get(&format!("{QUOTAS}/q")).await.good();
    quota["status"]["used"][name].clone()
}

#[tokio::test]
async fn a_quota_is_never_exceeded_and_says_what_is_used() {
    let server = Arc::new(Server::new().await);
    quota(&server, json!({"count/configmaps": "3", "pods": "1"})).await;
    // Ten at once for three places.
    let tries = (0..10).map(|number| {
        let server = server.clone();
        async move { server.post(MAPS, map(&format!("m{number}"))).await }
    });
    let answers = futures::future::join_all(tries).await;
    let made = answers.iter().filter(|answer| answer.code == 201).count();
    assert_eq!(made, 3);
    let refused = answers.iter().find(|answer| answer.code != 201).unwrap();
    assert_eq!(refused.code, 403);
    assert!(
        refused.message().contains(
            "exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=3, limited: count/configmaps=3"
        ),
        "{}",
        refused.message()
    );
    assert_eq!(used(&server, "count/configmaps").await, "3");
    let gone = (0..10).map(|number| format!("{MAPS}/m{number}"));
    for path in gone {
        if server.get(&path).await.code == 200 {
            server.delete(&path, json!({})).await.good();
            break;
        }
    }
    assert_eq!(used(&server, "count/configmaps").await, "2");
    server.post(MAPS, map("again")).await.good();
    server.post(PODS, pod("one")).await.good();
    assert_eq!(server.post(PODS, pod("two")).await.code, 403);
}

#[tokio::test]
async fn a_pod_says_what_a_quota_measures_or_a_limit_range_does() {
    let server = Server::new().await;
    quota(&server, json!({"requests.cpu": "1"})).await;
    let refused = server.post(PODS, pod("p")).await;
    assert!(
        refused
            .message()
            .contains("failed quota: q: must specify requests.cpu"),
        "{}",
        refused.text
    );
    let range = json!({"metadata": {"name": "r"}, "spec": {"limits": [
        {"type": "Container", "default": {"cpu": "600m"}, "max": {"cpu": "800m"}}]}});
    let ranges = "/api/v1/namespaces/default/limitranges";
    let stored = server.post(ranges, range).await.good();
    assert_eq!(
        stored["spec"]["limits"][0]["defaultRequest"],
        json!({"cpu": "600m"})
    );
    let made = server.post(PODS, pod("p")).await.good();
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({"requests": {"cpu": "600m"}, "limits": {"cpu": "600m"}})
    );
    let over = server.post(PODS, pod("second")).await;
    assert!(
        over.message()
            .contains("exceeded quota: q, requested: requests.cpu=600m"),
        "{}",
        over.text
    );
    let mut large = pod("large");
    large["spec"]["containers"][0]["resources"] =
        json!({"limits": {"cpu": "900m"}, "requests": {"cpu": "100m"}});
    let large = server.post(PODS, large).await;
    assert!(
        large
            .message()
            .ends_with("maximum cpu usage per Container is 800m, but limit is 900m"),
        "{}",
        large.text
    );
}

#[tokio::test]
async fn pods_get_the_value_of_their_class() {
    let server = Server::new().await;
    let class = json!({"metadata": {"name": "high"}, "value": 7});
    let made = server.post(CLASSES, class).await;
    assert!(made.warnings().is_empty(), "{:?}", made.warnings());
    assert_eq!(made.good()["preemptionPolicy"], "PreemptLowerPriority");
    let with = |name: &str, class: &str| {
        let mut pod = pod(name);
        pod["spec"]["priorityClassName"] = json!(class);
        pod
    };
    assert_eq!(
        server.post(PODS, with("a", "high")).await.good()["spec"]["priority"],
        7
    );
    let critical = server
        .post(PODS, with("b", "system-node-critical"))
        .await
        .good();
    assert_eq!(critical["spec"]["priority"], 2_000_001_000);
    let none = server.post(PODS, with("c", "none")).await;
    assert!(
        none.code == 403
            && none
                .message()
                .contains("no PriorityClass with name none was found")
    );
    let reserved = json!({"metadata": {"name": "system-mine"}, "value": 1});
    assert_eq!(server.post(CLASSES, reserved).await.code, 422);
    let changed = server
        .merge(&format!("{CLASSES}/high"), json!({"value": 8}))
        .await;
    assert_eq!(changed.code, 422);
}

#[tokio::test]
async fn one_class_at_most_is_the_default() {
    let server = Server::new().await;
    let class = |name: &str, default: bool| json!({"metadata": {"name": name}, "value": 7, "globalDefault": default});
    server.post(CLASSES, class("a", true)).await.good();
    server.post(CLASSES, class("b", false)).await.good();
    let second = server.post(CLASSES, class("c", true)).await;
    let refused = |name: &str| {
        format!(
            "priorityclasses.scheduling.k8s.io {name:?} is forbidden: PriorityClass a is already marked as default. Only one default can exist"
        )
    };
    assert_eq!((second.code, second.message()), (403, refused("c")));
    let (a, b) = (format!("{CLASSES}/a"), format!("{CLASSES}/b"));
    let default = json!({"globalDefault": true});
    let marked = server.merge(&b, default.clone()).await;
    assert_eq!((marked.code, marked.message()), (403, refused("b")));
    // The one that is it may be written again, and gives it up to another.
    server.merge(&a, json!({"description": "x"})).await.good();
    server
        .merge(&a, json!({"globalDefault": false}))
        .await
        .good();
    server.merge(&b, default).await.good();
    assert_eq!(
        server.post(PODS, pod("p")).await.good()["spec"]["priority"],
        7
    );
}

#[tokio::test]
async fn classes_of_the_system_stay_as_they_are() {
    let server = Server::new().await;
    for name in ["system-cluster-critical", "system-node-critical"] {
        let path = format!("{CLASSES}/{name}");
        let words = format!(
            "priorityclasses.scheduling.k8s.io {name:?} is forbidden: this is a system priority class and cannot be deleted"
        );
        let gone = server.delete(&path, json!({})).await;
        assert_eq!((gone.code, gone.message()), (403, words));
        for (change, words) in [
            (json!({"value": 5}), "field is immutable"),
            (json!({"preemptionPolicy": "Never"}), "field is immutable"),
            (json!({"globalDefault": true}), "must be false"),
        ] {
            let changed = server.merge(&path, change).await;
            assert_eq!(changed.code, 422, "{name}: {}", changed.text);
            assert!(changed.message().contains(words), "{}", changed.message());
        }
        // What people say of it is theirs.
        let noted = json!({"metadata": {"labels": {"a": "b"}}});
        server.merge(&path, noted).await.good();
    }
    let every = server.delete(CLASSES, json!({})).await;
    assert_eq!(every.code, 403, "{}", every.text);
    server
        .get(&format!("{CLASSES}/system-node-critical"))
        .await
        .good();
}

#[tokio::test]
async fn claims_get_their_class_and_network_policies_are_kept_with_a_warning() {
    let server = Server::new().await;
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    let made = server.post(claims, claim).await;
    assert!(made.warnings().is_empty(), "{:?}", made.warnings());
    let made = made.good();
    assert_eq!(made["status"]["phase"], "Pending");
    assert_eq!(made["spec"]["storageClassName"], "local");
    assert_eq!(
        made["metadata"]["finalizers"],
        json!(["kubernetes.io/pvc-protection"])
    );
    let classes = "/apis/storage.k8s.io/v1/storageclasses";
    let fixed = json!({"metadata": {"name": "fixed"}, "provisioner": "example.com/disk"});
    assert_eq!(
        server.post(classes, fixed).await.good()["volumeBindingMode"],
        "Immediate"
    );
    let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "fixed", "resources": {"requests": {"storage": "1Gi"}}});
    let other = json!({"metadata": {"name": "d"}, "spec": spec});
    server.post(claims, other).await.good();
    let grows = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
    let told = server.merge(&format!("{claims}/d"), grows.clone()).await;
    assert!(
        told.message().contains("must support resize"),
        "{}",
        told.text
    );
    server.merge(&format!("{claims}/c"), grows).await.good();
    let smaller = json!({"spec": {"resources": {"requests": {"storage": "1Mi"}}}});
    assert_eq!(
        server.merge(&format!("{claims}/c"), smaller).await.code,
        422
    );
    let policy = json!({"metadata": {"name": "n"}, "spec": {"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}});
    let policies = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
    let made = server.post(policies, policy).await;
    assert!(
        made.warnings()[0].contains("nothing acts on it"),
        "{:?}",
        made.warnings()
    );
    assert_eq!(
        made.good()["spec"]["policyTypes"],
        json!(["Ingress", "Egress"])
    );
    let volume = json!({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}});
    let refused = server.post("/api/v1/persistentvolumes", volume).await;
    assert!(
        refused.message().contains("must specify a volume type"),
        "{}",
        refused.text
    );
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let shown = server.accepting(claims, table).await.good();
    assert_eq!(shown["rows"][0]["cells"][1], "Pending");
}
