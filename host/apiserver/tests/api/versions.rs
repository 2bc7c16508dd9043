//! Kinds in more than one shape, and versions that only old clients speak.

use serde_json::{Value, json};

use crate::server::Server;

const CORE: &str = "/api/v1/namespaces/default/events";
const NAMED: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

fn event(name: &str) -> Value {
    json!({"metadata": {"name": name}, "reason": "Started", "type": "Normal", "message": "it began",
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}, "source": {"component": "agent"}})
}

#[tokio::test]
async fn events_are_one_store_in_two_shapes() {
    let server = Server::new().await;
    server.post(CORE, event("a")).await.good();
    let other = server.get(&format!("{NAMED}/a")).await.good();
    assert_eq!(other["apiVersion"], "events.k8s.io/v1");
    assert_eq!(
        (&other["note"], &other["regarding"]["name"]),
        (&json!("it began"), &json!("p"))
    );
    assert_eq!(other["deprecatedSource"]["component"], "agent");
    assert!(other.get("message").is_none() && other.get("involvedObject").is_none());

    let new = json!({"metadata": {"name": "b"}, "eventTime": "2026-01-01T00:00:00.000000Z", "action": "Do", "reason": "Doing",
        "reportingController": "c", "reportingInstance": "c-1", "type": "Warning", "note": "it goes on",
        "regarding": {"kind": "Pod", "name": "q", "namespace": "default"}});
    server.post(NAMED, new).await.good();
    let core = server.get(&format!("{CORE}/b")).await.good();
    assert_eq!(
        (&core["message"], &core["involvedObject"]["name"]),
        (&json!("it goes on"), &json!("q"))
    );

    let names = async |path: String| -> Vec<String> {
        let list = server.get(&path).await.good();
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(CORE.to_owned()).await, names(NAMED.to_owned()).await);
    assert_eq!(
        names(format!("{NAMED}?fieldSelector=regarding.name=q")).await,
        ["b"]
    );
    assert_eq!(
        names(format!("{CORE}?fieldSelector=involvedObject.name=q")).await,
        ["b"]
    );
    let unknown = server
        .get(&format!("{NAMED}?fieldSelector=involvedObject.name=q"))
        .await;
    assert_eq!(unknown.code, 400, "{}", unknown.text);

    let patched = server
        .merge(&format!("{NAMED}/b"), json!({"note": "it ended"}))
        .await
        .good();
    assert_eq!(patched["note"], "it ended");
    assert_eq!(
        server.get(&format!("{CORE}/b")).await.good()["message"],
        "it ended"
    );
    let strange = server
        .post(
            NAMED,
            json!({"metadata": {"name": "c"}, "message": "core's word"}),
        )
        .await;
    let told = strange.warnings();
    assert!(
        told.iter().any(|words| words.contains("unknown field")),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_old_clients_speak_is_served_with_a_warning() {
    let server = Server::new().await;
    let job = json!({"metadata": {"name": "j"}, "spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}}});
    let made = server
        .post("/apis/batch/v1beta1/namespaces/default/cronjobs", job)
        .await;
    assert_eq!(made.good()["apiVersion"], "batch/v1beta1");
    let words = "299 - \"batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; use batch/v1 CronJob\"";
    assert_eq!(made.warnings(), [words]);
    let now = server
        .get("/apis/batch/v1/namespaces/default/cronjobs/j")
        .await;
    assert_eq!(
        (now.good()["apiVersion"].clone(), now.warnings().len()),
        (json!("batch/v1"), 0)
    );

    let slice = json!({"metadata": {"name": "s"}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "topology": {"kubernetes.io/hostname": "n"}}], "ports": [{"port": 80}]});
    let old = "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices";
    server.post(old, slice).await.good();
    let stored = server
        .get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/s")
        .await
        .good();
    assert_eq!(stored["endpoints"][0]["nodeName"], "n");
    assert_eq!(
        stored["ports"][0],
        json!({"name": "", "port": 80, "protocol": "TCP"})
    );
}

#[tokio::test]
async fn the_quality_of_a_pod_follows_from_what_admission_made_of_it() {
    let server = Server::new().await;
    let limits = json!({"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}}]}});
    server
        .post("/api/v1/namespaces/default/limitranges", limits)
        .await
        .good();
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let made = server
        .post("/api/v1/namespaces/default/pods", pod)
        .await
        .good();
    assert_eq!(made["status"]["qosClass"], "Guaranteed");
}
