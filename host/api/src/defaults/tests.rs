//! Objects as an upstream server answers them, from manifests as people write them.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::resources::{
    self, NAMESPACES, PLUGINS, PODS, POLICIES, REPLICATION_CONTROLLERS, SECRETS, SERVICES,
};

fn defaulted(resource: &Resource, value: Value) -> Value {
    let mut object = Object::from_value(value).unwrap();
    apply(resource, &mut object);
    let once = object.clone();
    apply(resource, &mut object);
    assert_eq!(object, once, "defaulting twice must change nothing");
    object.into_value()
}

#[test]
fn a_pod_is_what_upstream_makes_of_it() {
    let pod = defaulted(
        &PODS,
        json!({"spec": {"containers": [{
        "name": "c", "image": "nginx", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "0.5"}},
        "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "readinessProbe": {"httpGet": {"port": 80}}
    }], "volumes": [{"name": "v"}, {"name": "c", "configMap": {"name": "m"}}], "serviceAccount": "sa"}}),
    );
    let expected = json!({"spec": {
        "containers": [{
            "name": "c", "image": "nginx", "imagePullPolicy": "Always",
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}},
            "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}],
            "readinessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"
        }],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "m", "defaultMode": 420}}],
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
        "securityContext": {}, "schedulerName": "default-scheduler", "enableServiceLinks": true,
        "serviceAccount": "sa", "serviceAccountName": "sa"
    }});
    assert_eq!(pod, expected);
}

#[test]
fn the_pull_policy_follows_the_tag() {
    let cases = [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("h:5000/a", "Always"),
        ("a@sha256:0", "IfNotPresent"),
    ];
    for (image, policy) in cases {
        let pod = defaulted(&PODS, json!({"spec": {"containers": [{"image": image}]}}));
        assert_eq!(
            pod["spec"]["containers"][0]["imagePullPolicy"], policy,
            "{image}"
        );
    }
}

#[test]
fn a_replication_controller_takes_labels_from_its_template() {
    let made = defaulted(
        &REPLICATION_CONTROLLERS,
        json!({"spec": {"template": {"metadata": {"labels": {"a": "b"}, "creationTimestamp": null}, "spec": {"containers": []}}}}),
    );
    assert_eq!(made["spec"]["selector"], json!({"a": "b"}));
    assert_eq!(made["metadata"]["labels"], json!({"a": "b"}));
    assert_eq!(made["spec"]["replicas"], 1);
    assert_eq!(made["spec"]["template"]["spec"]["restartPolicy"], "Always");
    assert_eq!(
        made["spec"]["template"]["spec"].get("enableServiceLinks"),
        None
    );
    let kept = defaulted(
        &REPLICATION_CONTROLLERS,
        json!({"spec": {"replicas": 0, "selector": {"x": "y"}}}),
    );
    assert_eq!(
        (&kept["spec"]["replicas"], &kept["spec"]["selector"]),
        (&json!(0), &json!({"x": "y"}))
    );
}

#[test]
fn a_service_is_what_upstream_makes_of_it() {
    let made = defaulted(
        &SERVICES,
        json!({"spec": {"ports": [{"port": 80}, {"port": 1, "targetPort": "http", "protocol": "UDP"}]}}),
    );
    let expected = json!({"spec": {
        "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}, {"port": 1, "targetPort": "http", "protocol": "UDP"}],
        "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"
    }});
    assert_eq!(made, expected);
    let external = defaulted(
        &SERVICES,
        json!({"spec": {"type": "ExternalName", "externalName": "a.b"}}),
    );
    assert_eq!(external["spec"].get("internalTrafficPolicy"), None);
}

#[test]
fn a_secret_encodes_its_plain_texts() {
    let made = defaulted(
        &SECRETS,
        json!({"data": {"a": "eA==", "b": "eA=="}, "stringData": {"b": "abc"}}),
    );
    assert_eq!(
        made,
        json!({"data": {"a": "eA==", "b": "YWJj"}, "type": "Opaque"})
    );
}

#[test]
fn a_namespace_carries_its_name_as_a_label() {
    let made = defaulted(&NAMESPACES, json!({"metadata": {"name": "n"}}));
    assert_eq!(
        made["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "n"})
    );
    assert_eq!(made["status"]["phase"], "Active");
}

#[test]
fn our_kinds_take_defaults_from_their_schemas() {
    let plugin = defaulted(
        &PLUGINS,
        json!({"spec": {"image": "x", "limits": {"memory": "1024Ki"}}}),
    );
    assert_eq!(
        plugin["spec"],
        json!({"image": "x", "failurePolicy": "Fail", "limits": {"memory": "1Mi", "deadline": "5ms", "instances": 8}})
    );
    let policy = defaulted(&POLICIES, json!({"spec": {"actions": []}}));
    assert_eq!(
        policy["spec"],
        json!({"actions": [], "direction": "Inbound", "mode": "Enforce"})
    );
}

#[test]
fn defaults_never_break_the_schema() {
    for resource in resources::all() {
        let mut object = Object::new(resource, "n", "x");
        object.set(&["spec"], json!({}));
        schema::prune(resource, &mut object);
        apply(resource, &mut object);
        let unknown = schema::check(resource, &object)
            .into_iter()
            .filter(|fault| fault.kind != crate::FaultKind::Required);
        assert_eq!(unknown.collect::<Vec<_>>(), [], "{}", resource.kind);
    }
}
