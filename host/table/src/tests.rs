//! Rows as kubectl shows them.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use osier_api::resources::{
    self, ENDPOINTS, EVENTS, NODES, PLUGINS, PODS, POLICIES, SERVICES, VIRTUAL_SERVICES,
};

fn now() -> Timestamp {
    "2030-01-01T00:10:00Z".parse().unwrap()
}

fn cells(resource: &Resource, mut value: Value) -> Vec<String> {
    value["metadata"]["name"] = "x".into();
    value["metadata"]["creationTimestamp"] = "2030-01-01T00:00:00Z".into();
    let table = render(resource, &[Object::from_value(value).unwrap()], now());
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(
        cells.len(),
        table["columnDefinitions"].as_array().unwrap().len()
    );
    cells
        .iter()
        .map(|cell| {
            cell.as_str()
                .map_or_else(|| cell.to_string(), str::to_owned)
        })
        .collect()
}

fn pod(status: Value, deleted: bool) -> [String; 3] {
    let mut value = json!({"spec": {"containers": [{}, {}], "initContainers": [{"name": "i"}]}, "status": status});
    if deleted {
        value["metadata"]["deletionTimestamp"] = "2030-01-01T00:09:00Z".into();
    }
    let cells = cells(&PODS, value);
    [cells[1].clone(), cells[2].clone(), cells[3].clone()]
}

#[test]
fn a_pod_in_all_its_states() {
    let running = json!({"ready": true, "state": {"running": {}}});
    let done = json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    let crash = json!({"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"finishedAt": "2030-01-01T00:09:30Z"}}});
    let both = json!({"phase": "Running", "containerStatuses": [running, running]});
    let cases = [
        (json!({"phase": "Pending"}), ["0/2", "Pending", "0"]),
        (
            json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}),
            ["0/2", "ContainerCreating", "0"],
        ),
        (both.clone(), ["2/2", "Running", "0"]),
        (
            json!({"phase": "Running", "containerStatuses": [running, crash]}),
            ["1/2", "CrashLoopBackOff", "3 (30s ago)"],
        ),
        (
            json!({"phase": "Succeeded", "containerStatuses": [done, done]}),
            ["0/2", "Completed", "0"],
        ),
        (
            json!({"phase": "Running", "containerStatuses": [done, running], "conditions": [{"type": "Ready", "status": "True"}]}),
            ["1/2", "Running", "0"],
        ),
        (
            json!({"phase": "Running", "containerStatuses": [done, running]}),
            ["1/2", "NotReady", "0"],
        ),
        (
            json!({"phase": "Failed", "reason": "Evicted"}),
            ["0/2", "Evicted", "0"],
        ),
        (
            json!({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 7}}}]}),
            ["0/2", "ExitCode:7", "0"],
        ),
        (
            json!({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}),
            ["0/2", "OOMKilled", "0"],
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]}),
            ["0/2", "Init:0/1", "0"],
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [{"restartCount": 2, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
            ["0/2", "Init:Error", "2"],
        ),
    ];
    for (status, expected) in cases {
        assert_eq!(pod(status.clone(), false), expected, "{status}");
    }
    assert_eq!(pod(both, true)[1], "Terminating");
}

#[test]
fn wide_columns_have_priority_one_and_rows_carry_metadata() {
    let object = Object::from_value(json!({"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"nodeName": "n"}, "status": {"phase": "Succeeded"}})).unwrap();
    let table = render(&PODS, std::slice::from_ref(&object), now());
    let priorities: Vec<i64> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["priority"].as_i64().unwrap())
        .collect();
    assert_eq!(priorities, [0, 0, 0, 0, 0, 1, 1, 1, 1]);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(
        table["rows"][0]["object"]["metadata"]["labels"],
        json!({"a": "b"})
    );
    assert_eq!(table["rows"][0]["object"].get("spec"), None);
    assert_eq!(table["rows"][0]["conditions"][0]["reason"], "Succeeded");
    let whole = render_with(&PODS, &[object], now(), Include::Object);
    assert_eq!(whole["rows"][0]["object"]["spec"]["nodeName"], "n");
}

#[test]
fn services() {
    let plain = cells(
        &SERVICES,
        json!({"spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1", "ports": [{"port": 80, "protocol": "TCP"}, {"port": 1, "nodePort": 30001, "protocol": "UDP"}], "selector": {"a": "b"}}}),
    );
    assert_eq!(
        plain,
        [
            "x",
            "ClusterIP",
            "10.96.0.1",
            "<none>",
            "80/TCP,1:30001/UDP",
            "10m",
            "a=b"
        ]
    );
    let pending = cells(
        &SERVICES,
        json!({"spec": {"type": "LoadBalancer", "clusterIP": "None"}}),
    );
    assert_eq!(pending[2..5], ["None", "<pending>", "<none>"]);
}

#[test]
fn endpoints_show_three() {
    let addresses: Vec<Value> = (1..=5)
        .map(|n| json!({"ip": format!("10.0.0.{n}")}))
        .collect();
    let row = cells(
        &ENDPOINTS,
        json!({"subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]}),
    );
    assert_eq!(row[1], "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...");
    assert_eq!(cells(&ENDPOINTS, json!({}))[1], "<none>");
}

#[test]
fn nodes() {
    let row = cells(
        &NODES,
        json!({
            "metadata": {"labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "worker"}},
            "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.37.0"}, "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}]}
        }),
    );
    assert_eq!(
        row[1..6],
        [
            "Ready,SchedulingDisabled",
            "control-plane,worker",
            "10m",
            "v1.37.0",
            "1.2.3.4"
        ]
    );
}

#[test]
fn events() {
    let row = cells(
        &EVENTS,
        json!({"lastTimestamp": "2030-01-01T00:09:55Z", "type": "Normal", "reason": "Started", "message": "Started container\n",
        "involvedObject": {"kind": "Pod", "name": "p"}, "source": {"component": "kubelet", "host": "n"}, "count": 4}),
    );
    assert_eq!(
        row,
        [
            "5s",
            "Normal",
            "Started",
            "pod/p",
            "",
            "kubelet, n",
            "Started container",
            "<unknown>",
            "4",
            "x"
        ]
    );
}

#[test]
fn our_own_kinds() {
    let digest = "sha256:0123456789abcdef0123";
    let row = cells(
        &PLUGINS,
        json!({"spec": {"image": "builtin://denier"}, "status": {"digest": digest, "nodes": [{"state": "Ready"}], "conditions": [{"type": "Ready", "status": "True"}]}}),
    );
    assert_eq!(
        row,
        [
            "x",
            "sha256:0123456789ab",
            "Ready",
            "10m",
            "builtin://denier",
            "0",
            "0ms",
            ""
        ]
    );
    let failed = cells(
        &PLUGINS,
        json!({"status": {"nodes": [{"state": "Ready"}, {"state": "Failed"}]}}),
    );
    assert_eq!(failed[1..3], ["<none>", "Failed"]);
    let policy = cells(
        &POLICIES,
        json!({"spec": {"actions": [{"plugin": "a"}, {"plugin": "b"}]}, "status": {"conditions": [{"type": "Ready", "status": "False", "message": "no plugin a"}]}}),
    );
    assert_eq!(
        policy,
        [
            "x",
            "a,b",
            "Enforce",
            "False",
            "10m",
            "<none>",
            "no plugin a"
        ]
    );
    let lost = json!({"status": {"conditions": [{"type": "Ready", "status": "True"},
        {"type": "Attached", "status": "False", "reason": "TargetNotFound", "message": "there is no Service a/b"}]}});
    let lost = cells(&POLICIES, lost);
    assert_eq!(lost[3], "TargetNotFound");
    assert_eq!(lost[6], "there is no Service a/b");
    let plugin = cells(
        &PLUGINS,
        json!({"status": {"nodes": [{"state": "Ready", "traps": 2, "deadlineOverruns": 1, "aside": true, "error": "trap: unreachable"}]}}),
    );
    assert_eq!(
        plugin[7],
        "2 traps, 1 deadline overruns, runs aside, last: trap: unreachable"
    );
    let tried = |reason: &str| {
        let condition = json!({"type": "Rollout", "reason": reason});
        let rollout = json!({"plugin": "next", "percent": 5});
        let policy = json!({"spec": {"rollout": rollout}, "status": {"conditions": [condition]}});
        cells(&POLICIES, policy)[5].clone()
    };
    assert_eq!(tried("Progressing"), "next 5%");
    assert_eq!(tried("Aborted"), "next aborted");
    let route = cells(
        &VIRTUAL_SERVICES,
        json!({"spec": {"hosts": ["*"], "gateways": ["g", "mesh"]}}),
    );
    assert_eq!(route, ["x", "[\"g\",\"mesh\"]", "[\"*\"]", "10m"]);
}

#[test]
fn every_kind_prints_even_an_empty_object() {
    for resource in resources::all() {
        assert!(!cells(resource, json!({})).is_empty());
    }
}
