//! What is said, of what, and that no field of a pod is forgotten.
#![expect(clippy::unwrap_used, reason = "tests")]

mod fields;

use osier_api::resources::*;
use osier_api::{Object, Resource};
use serde_json::{Value, json};

use super::warnings;

fn object(_: &Resource, value: Value) -> Object {
    Object::from_value(value).unwrap()
}

#[test]
fn what_has_no_effect_is_said() {
    let warned = |resource: &Resource, value: Value| warnings(resource, &object(resource, value));
    assert_eq!(
        warned(&SERVICES, json!({"spec": {"type": "ClusterIP"}})),
        Vec::<String>::new()
    );
    assert_eq!(
        warned(&SERVICES, json!({"spec": {"type": "NodePort"}})).len(),
        1
    );
    let spec = json!({"hostNetwork": true, "hostPID": false, "securityContext": {}, "containers": [
        {"securityContext": {"privileged": true, "allowPrivilegeEscalation": false}, "tty": true, "livenessProbe": {"exec": {"command": ["x"]}},
        "readinessProbe": {"tcpSocket": {"port": 1}}, "lifecycle": {"preStop": {"sleep": {"seconds": 1}}, "postStart": {"tcpSocket": {"port": 1}}}}]});
    let found = warned(&PODS, json!({"spec": spec}));
    let heads: Vec<&str> = found
        .iter()
        .filter_map(|text| text.split(": ").next())
        .collect();
    assert_eq!(
        heads,
        [
            "spec.hostNetwork",
            "spec.containers[0].securityContext.privileged",
            "spec.containers[0].lifecycle.postStart.tcpSocket"
        ]
    );
    let template = warned(
        &REPLICATION_CONTROLLERS,
        json!({"spec": {"template": {"spec": {"hostIPC": true}}}}),
    );
    assert!(
        template[0].starts_with("spec.template.spec.hostIPC: has no effect"),
        "{template:?}"
    );
}

#[test]
fn what_is_asked_for_and_not_given_is_said() {
    let spec = json!({
        "os": {"name": "windows"}, "dnsPolicy": "None", "hostUsers": false, "automountServiceAccountToken": true,
        "containers": [{"terminationMessagePath": "/tmp/why", "resources": {
            "requests": {"cpu": "1", "memory": "1Mi"},
            "limits": {"cpu": "1", "memory": "1Mi", "ephemeral-storage": "1Gi", "acme.com/gpu": "1"}}}],
    });
    let found = warnings(&PODS, &object(&PODS, json!({"spec": spec})));
    let heads = found.iter().filter_map(|text| text.split(": ").next());
    assert_eq!(
        heads.collect::<Vec<_>>(),
        [
            "spec.os.name",
            "spec.dnsPolicy",
            "spec.hostUsers",
            "spec.automountServiceAccountToken",
            "spec.containers[0].resources.limits.acme.com/gpu",
            "spec.containers[0].terminationMessagePath",
        ]
    );
    let plain = json!({"os": {"name": "linux"}, "dnsPolicy": "ClusterFirst", "hostUsers": true,
        "containers": [{"terminationMessagePath": "/dev/termination-log"}]});
    let found = warnings(&PODS, &object(&PODS, json!({"spec": plain})));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn volumes_that_no_container_can_mount_are_said() {
    let spec = json!({
        "volumes": [
            {"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "c"}},
            {"name": "c", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "d", "nfs": {"path": "/", "server": "s"}},
            {"name": "e", "projected": {"sources": [{"secret": {"name": "s"}}, {"serviceAccountToken": {"path": "t"}}, {"clusterTrustBundle": {"path": "t"}}]}},
        ],
        "containers": [{"volumeMounts": [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b", "subPathExpr": "x"}]}],
    });
    let found = warnings(&PODS, &object(&PODS, json!({"spec": spec})));
    let heads = found.iter().filter_map(|text| text.split(": ").next());
    assert_eq!(
        heads.collect::<Vec<_>>(),
        [
            "spec.volumes[3].nfs",
            "spec.volumes[4].projected.sources[2].clusterTrustBundle",
        ]
    );
    let made = |spec: serde_json::Value| {
        warnings(
            &PERSISTENT_VOLUMES,
            &object(&PERSISTENT_VOLUMES, json!({"spec": spec})),
        )
    };
    let heads = made(
        json!({"nfs": {"path": "/", "server": "s"}, "persistentVolumeReclaimPolicy": "Recycle", "mountOptions": ["hard"]}),
    );
    for (found, head) in heads.iter().zip([
        "spec.nfs: ",
        "spec.persistentVolumeReclaimPolicy: ",
        "spec.mountOptions: ",
    ]) {
        assert!(found.starts_with(head), "{heads:?}");
    }
    assert!(
        made(json!({"hostPath": {"path": "/x"}, "persistentVolumeReclaimPolicy": "Retain"}))
            .is_empty()
    );
}

#[test]
fn what_pods_have_at_any_rate_is_said_of_the_mesh() {
    let open = json!({"spec": {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}, "ingress": [{"port": {"number": 1}}]}});
    let said = warnings(&SIDECARS, &object(&SIDECARS, open));
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("stay refused"), "{said:?}");
    let permissive = json!({"spec": {"portLevelMtls": {"8080": {"mode": "PERMISSIVE"}}}});
    let said = warnings(
        &PEER_AUTHENTICATIONS,
        &object(&PEER_AUTHENTICATIONS, permissive),
    );
    assert!(said[0].contains("as with STRICT"), "{said:?}");
}
