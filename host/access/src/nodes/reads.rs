//! What a node may read beyond its role: of Secrets, ConfigMaps and claims only those that a pod bound to it refers to, of Leases only its
//! own, tokens only for the accounts of its pods
//! (<https://kubernetes.io/docs/reference/access-authn-authz/node/>).
//!
//! Pods, Services and the objects of the mesh are readable by every node: its data plane routes to all of them.

use osier_api::{Object, Status, resources};
use serde_json::Value;

use super::node_of;
use crate::rbac::Action;
use crate::refusal;
use crate::user::User;

/// Refuses what a node has no pod for; `pods` lists those of a namespace.
///
/// # Errors
/// 403 with the reason.
pub fn check_node_read(
    user: &User,
    action: &Action<'_>,
    pods: impl FnOnce(&str) -> Vec<Object>,
) -> Result<(), Status> {
    let Action::Resource {
        verb,
        group,
        resource,
        subresource,
        namespace,
        name,
    } = *action
    else {
        return Ok(());
    };
    let Some(node) = node_of(user) else {
        return Ok(());
    };
    let is = |kind: &osier_api::Resource| kind.group == group && kind.plural == resource;
    let refuse = |why: &str| {
        let mut status = refusal(user, action);
        status.message = format!("{}: {why}", status.message);
        Err(status)
    };
    let kind = match subresource {
        "token" if is(&resources::SERVICE_ACCOUNTS) => "serviceAccount",
        _ if is(&resources::SECRETS) => "secret",
        _ if is(&resources::CONFIG_MAPS) => "configMap",
        _ if is(&resources::PERSISTENT_VOLUME_CLAIMS) => "claim",
        // A new one has its name in the body: admission looks at that.
        _ if is(&resources::LEASES) && verb != "create" && name != node => {
            return refuse("a node reads only its own Lease");
        }
        _ => return Ok(()),
    };
    let single = !name.is_empty() && matches!(verb, "get" | "create");
    let bound = |pod: &Object| pod.text(&["spec", "nodeName"]) == node;
    let needs = |pod: &Object| bound(pod) && pod_refers(pod, kind, name);
    if single && pods(namespace).iter().any(needs) {
        return Ok(());
    }
    refuse(&format!("no pod bound to node {node:?} refers to it"))
}

/// Whether a pod cannot run without the object.
fn pod_refers(pod: &Object, kind: &str, name: &str) -> bool {
    let Some(spec) = pod.get(&["spec"]) else {
        return false;
    };
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    if kind == "serviceAccount" {
        return spec["serviceAccountName"].as_str().unwrap_or("default") == name;
    }
    let pulls = list(spec, "imagePullSecrets");
    if kind == "secret" && pulls.iter().any(|pull| pull["name"] == name) {
        return true;
    }
    let volume = |volume: &Value| {
        let own = match kind {
            "claim" => &volume["persistentVolumeClaim"]["claimName"],
            "secret" => &volume["secret"]["secretName"],
            _ => &volume["configMap"]["name"],
        };
        let mut sources = list(&volume["projected"], "sources").into_iter();
        *own == name || sources.any(|source| source[kind]["name"] == name)
    };
    let container = |container: &Value| {
        let (from, key) = (format!("{kind}Ref"), format!("{kind}KeyRef"));
        let mut all = list(container, "envFrom").into_iter();
        let mut each = list(container, "env").into_iter();
        all.any(|one| one[&from]["name"] == name)
            || each.any(|one| one["valueFrom"][&key]["name"] == name)
    };
    let containers = ["containers", "initContainers"].map(|part| list(spec, part));
    list(spec, "volumes").iter().any(volume) || containers.iter().flatten().any(container)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn pod(spec: Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).unwrap()
    }

    #[test]
    fn every_way_to_refer_counts() {
        let ways = [
            json!({"volumes": [{"secret": {"secretName": "s"}}]}),
            json!({"volumes": [{"projected": {"sources": [{"secret": {"name": "s"}}]}}]}),
            json!({"imagePullSecrets": [{"name": "s"}]}),
            json!({"containers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}),
            json!({"initContainers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]}),
        ];
        for way in ways {
            let pod = pod(way);
            assert!(pod_refers(&pod, "secret", "s"), "{pod:?}");
            assert!(!pod_refers(&pod, "secret", "t"));
            assert!(!pod_refers(&pod, "configMap", "s"));
        }
        let maps = pod(json!({"volumes": [{"configMap": {"name": "m"}}]}));
        assert!(pod_refers(&maps, "configMap", "m") && !pod_refers(&maps, "secret", "m"));
        let claims = pod(json!({"volumes": [{"persistentVolumeClaim": {"claimName": "c"}}]}));
        assert!(pod_refers(&claims, "claim", "c") && !pod_refers(&claims, "claim", "d"));
    }
}
