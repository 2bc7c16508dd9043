//! Good objects pass without a word; each broken rule is named where it is broken.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::*;
use osier_api::resources::*;
use osier_api::{defaults, schema};

fn object(resource: &Resource, mut value: Value) -> Object {
    if value["metadata"]["name"].is_null() && value["metadata"]["generateName"].is_null() {
        value["metadata"]["name"] = "x".into();
    }
    if resource.namespaced && value["metadata"]["namespace"].is_null() {
        value["metadata"]["namespace"] = "n".into();
    }
    Object::from_value(value).unwrap()
}

/// Faults as the server finds them: after defaults, structure and rules.
fn faults(resource: &Resource, value: Value) -> Vec<String> {
    let mut object = object(resource, value);
    defaults::apply(resource, &mut object);
    let mut all = schema::check(resource, &object);
    all.extend(validate_create(resource, &object));
    all.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn finds(resource: &Resource, value: Value, expected: &[&str]) {
    let found = faults(resource, value);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(expected),
            "{found:?} should begin with {expected:?}"
        );
    }
}

fn good_pod() -> Value {
    json!({"spec": {"containers": [{
        "name": "c", "image": "reviews", "imagePullPolicy": "Always", "ports": [{"containerPort": 80, "name": "http"}],
        "env": [{"name": "A", "value": "b"}, {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "resources": {"limits": {"memory": "64Mi", "cpu": "1"}, "requests": {"cpu": "100m"}},
        "readinessProbe": {"httpGet": {"port": "http"}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]
    }], "volumes": [{"name": "v"}], "tolerations": [{"operator": "Exists"}], "nodeSelector": {"a": "b"}}})
}

#[test]
fn a_good_pod_passes() {
    finds(&PODS, good_pod(), &[]);
}

#[test]
fn placing_rules() {
    let pod = |field: &str, value: Value| {
        let mut pod = good_pod();
        pod["spec"][field] = value;
        pod
    };
    let spread = |key: &str, skew: i32| {
        json!({"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"a": "b"}}})
    };
    let spreads = |value: Value| pod("topologySpreadConstraints", value);
    finds(
        &PODS,
        spreads(json!([
            spread("zone", 1),
            spread("kubernetes.io/hostname", 2)
        ])),
        &[],
    );
    let mut soft = spread("zone", 0);
    soft["whenUnsatisfiable"] = "ScheduleAnyway".into();
    soft["minDomains"] = 2.into();
    let at = "spec.topologySpreadConstraints";
    finds(
        &PODS,
        spreads(json!([soft, spread("", 1), spread("x", 1), spread("x", 1)])),
        &[
            &format!("{at}[0].maxSkew: Invalid value: 0: must be greater than zero"),
            &format!("{at}[0].minDomains: Invalid value: 2: can only use minDomains"),
            &format!("{at}[1].topologyKey: Required value: can not be empty"),
            &format!("{at}[3]: Duplicate value"),
        ],
    );
    let (required, preferred) = (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    );
    let term = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}});
    let ask = |operator: &str| json!({"matchExpressions": [{"key": "disk", "operator": operator}]});
    let good = json!({"podAffinity": {required: [term], preferred: [{"weight": 5, "podAffinityTerm": term}]},
        "nodeAffinity": {preferred: [{"weight": 1, "preference": ask("Exists")}]}});
    finds(&PODS, pod("affinity", good), &[]);
    let bad = json!({"nodeAffinity": {required: {"nodeSelectorTerms": [ask("In"), ask("Near")]}},
        "podAntiAffinity": {required: [{"topologyKey": ""}], preferred: [{"weight": 0, "podAffinityTerm": term}]}});
    finds(
        &PODS,
        pod("affinity", bad),
        &[
            &format!(
                "spec.affinity.nodeAffinity.{required}.nodeSelectorTerms[0].matchExpressions[0].values: Required value"
            ),
            &format!(
                "spec.affinity.nodeAffinity.{required}.nodeSelectorTerms[1].matchExpressions[0].operator: Unsupported value"
            ),
            &format!(
                "spec.affinity.podAntiAffinity.{required}[0].topologyKey: Required value: can not be empty"
            ),
            &format!(
                "spec.affinity.podAntiAffinity.{preferred}[0].weight: Invalid value: 0: must be in the range 1-100"
            ),
        ],
    );
}

#[test]
fn metadata_rules() {
    let pod = |metadata: Value| {
        let mut pod = good_pod();
        pod["metadata"] = metadata;
        pod
    };
    finds(
        &PODS,
        pod(json!({"name": "A_"})),
        &["metadata.name: Invalid value: \"A_\": a lowercase RFC 1123 subdomain"],
    );
    finds(
        &PODS,
        pod(json!({"name": "a", "namespace": "a.b"})),
        &["metadata.namespace: Invalid value: \"a.b\": a lowercase RFC 1123 label"],
    );
    finds(&PODS, pod(json!({"generateName": "web-"})), &[]);
    finds(
        &PODS,
        pod(json!({"generateName": "Web-"})),
        &["metadata.generateName: Invalid value"],
    );
    finds(
        &PODS,
        pod(json!({"name": "a", "labels": {"/x": "y", "ok": "-"}})),
        &[
            "metadata.labels: Invalid value: \"/x\": prefix part must be non-empty",
            "metadata.labels: Invalid value: \"-\"",
        ],
    );
    finds(
        &PODS,
        pod(json!({"name": "a", "annotations": {"a": "x".repeat(300_000)}})),
        &["metadata.annotations: Too long: may not be more than 262144 bytes"],
    );
    finds(
        &PODS,
        pod(json!({"name": "a", "finalizers": ["x"]})),
        &["metadata.finalizers[0]: Invalid value: \"x\": name is neither"],
    );
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "X", "name": name, "uid": "u", "controller": true});
    finds(
        &PODS,
        pod(json!({"name": "a", "ownerReferences": [owner("a"), owner("b")]})),
        &["metadata.ownerReferences: Invalid value"],
    );
    finds(
        &SERVICES,
        json!({"metadata": {"name": "1a"}, "spec": {"ports": [{"port": 80}]}}),
        &["metadata.name: Invalid value: \"1a\": a DNS-1035 label"],
    );
    finds(
        &NODES,
        json!({"metadata": {"name": "a.b", "namespace": "n"}}),
        &["metadata.namespace: Forbidden: not allowed on this type"],
    );
    let nameless = Object::from_value(json!({"metadata": {"namespace": "n"}})).unwrap();
    let found = validate_create(&CONFIG_MAPS, &nameless);
    assert_eq!(
        found[0].to_string(),
        "metadata.name: Required value: name or generateName is required"
    );
    let homeless = Object::from_value(json!({"metadata": {"name": "n"}})).unwrap();
    assert_eq!(
        validate_create(&CONFIG_MAPS, &homeless)[0].to_string(),
        "metadata.namespace: Required value"
    );
}

#[test]
fn pod_rules() {
    let cases = [
        (
            "/spec/containers",
            json!([]),
            vec!["spec.containers: Required value"],
        ),
        (
            "/spec/containers/0/name",
            json!("C"),
            vec!["spec.containers[0].name: Invalid value: \"C\": a lowercase RFC 1123 label"],
        ),
        (
            "/spec/containers/0/image",
            json!(""),
            vec!["spec.containers[0].image: Required value"],
        ),
        (
            "/spec/containers/0/image",
            json!(" a"),
            vec!["spec.containers[0].image: Invalid value: \" a\": must not have"],
        ),
        (
            "/spec/containers/0/ports/0/containerPort",
            json!(70000),
            vec![
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            "/spec/containers/0/ports/0/name",
            json!("Much_too_long_a_name"),
            vec!["spec.containers[0].ports[0].name"; 2],
        ),
        (
            "/spec/containers/0/env/0/name",
            json!(""),
            vec!["spec.containers[0].env[0].name: Required value"],
        ),
        (
            "/spec/containers/0/env/1/value",
            json!("both"),
            vec!["spec.containers[0].env[1].valueFrom: Invalid value"],
        ),
        (
            "/spec/containers/0/env/1/valueFrom/fieldRef/fieldPath",
            json!("spec.x"),
            vec![
                "spec.containers[0].env[1].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x\": error converting fieldPath",
            ],
        ),
        (
            "/spec/containers/0/env/2/valueFrom/secretKeyRef/key",
            json!(""),
            vec!["spec.containers[0].env[2].valueFrom.secretKeyRef.key: Required value"],
        ),
        (
            "/spec/containers/0/resources/requests/cpu",
            json!("2"),
            vec![
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            "/spec/containers/0/resources/requests/cpu",
            json!("-1"),
            vec![
                "spec.containers[0].resources.requests.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
            ],
        ),
        (
            "/spec/containers/0/readinessProbe/httpGet/port",
            json!(0),
            vec![
                "spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: must be between",
            ],
        ),
        (
            "/spec/containers/0/volumeMounts/0/name",
            json!("w"),
            vec!["spec.containers[0].volumeMounts[0].name: Not found: \"w\""],
        ),
        (
            "/spec/restartPolicy",
            json!("Sometimes"),
            vec![
                "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ],
        ),
        (
            "/spec/terminationGracePeriodSeconds",
            json!(-1),
            vec!["spec.terminationGracePeriodSeconds: Invalid value: -1"],
        ),
        (
            "/spec/activeDeadlineSeconds",
            json!(0),
            vec!["spec.activeDeadlineSeconds: Invalid value: 0: must be between"],
        ),
        (
            "/spec/tolerations/0/value",
            json!("v"),
            vec!["spec.tolerations[0].value: Invalid value"],
        ),
        (
            "/spec/volumes/0",
            json!({"name": "v", "emptyDir": {}, "configMap": {"name": "x"}}),
            vec!["spec.volumes[0]: Forbidden: may not specify more than 1 volume type"],
        ),
    ];
    for (pointer, value, expected) in cases {
        let mut pod = good_pod();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match pod.pointer_mut(parent).unwrap() {
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
            map => map[key] = value,
        }
        let found = faults(&PODS, pod);
        assert_eq!(found.len(), expected.len(), "{pointer}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    }
}

#[test]
fn names_are_unique_across_containers() {
    let mut pod = good_pod();
    pod["spec"]["initContainers"] = json!([{"name": "c", "image": "i"}]);
    finds(
        &PODS,
        pod,
        &["spec.initContainers[0].name: Duplicate value: \"c\""],
    );
}

#[test]
fn controllers() {
    let template = |labels: Value, restart: &str| json!({"metadata": {"labels": labels}, "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "i"}]}});
    finds(
        &REPLICATION_CONTROLLERS,
        json!({"spec": {"replicas": 2, "selector": {"a": "b"}, "template": template(json!({"a": "b", "c": "d"}), "Always")}}),
        &[],
    );
    finds(
        &REPLICATION_CONTROLLERS,
        json!({"spec": {"selector": {"a": "b"}, "template": template(json!({"a": "c"}), "Always")}}),
        &[
            "spec.template.metadata.labels: Invalid value: {\"a\":\"c\"}: `selector` does not match template `labels`",
        ],
    );
    finds(
        &REPLICATION_CONTROLLERS,
        json!({"spec": {"replicas": -1, "selector": {"a": "b"}, "template": template(json!({"a": "b"}), "Never")}}),
        &[
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ],
    );
    finds(
        &REPLICATION_CONTROLLERS,
        json!({"spec": {}}),
        &[
            "spec.selector: Required value",
            "spec.template: Required value",
        ],
    );
}

#[test]
fn services_and_endpoints() {
    finds(
        &SERVICES,
        json!({"spec": {"ports": [{"port": 80, "targetPort": "http"}], "selector": {"a": "b"}}}),
        &[],
    );
    finds(&SERVICES, json!({"spec": {"clusterIP": "None"}}), &[]);
    finds(
        &SERVICES,
        json!({"spec": {}}),
        &["spec.ports: Required value"],
    );
    finds(
        &SERVICES,
        json!({"spec": {"ports": [{"port": 80}, {"port": 80}]}}),
        &[
            "spec.ports[0].name: Required value",
            "spec.ports[1].name: Required value",
            "spec.ports[1]: Duplicate value",
        ],
    );
    finds(
        &SERVICES,
        json!({"spec": {"type": "Magic", "clusterIP": "here", "ports": [{"port": 0, "protocol": "ICMP"}]}}),
        &[
            "spec.type: Unsupported value",
            "spec.clusterIP: Invalid value: \"here\": must be a valid IP address",
            "spec.ports[0].port: Invalid value: 0: must be between",
            "spec.ports[0].targetPort: Invalid value: 0",
            "spec.ports[0].protocol: Unsupported value: \"ICMP\"",
        ],
    );
    finds(
        &SERVICES,
        json!({"spec": {"type": "ExternalName"}}),
        &["spec.externalName: Required value"],
    );
    finds(
        &ENDPOINTS,
        json!({"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}),
        &[],
    );
    finds(
        &ENDPOINTS,
        json!({"subsets": [{"addresses": [{"ip": "x"}], "ports": [{"port": 80}]}]}),
        &["subsets[0].addresses[0].ip: Invalid value"],
    );
}

#[test]
fn configuration() {
    finds(&CONFIG_MAPS, json!({"data": {"a.b": "c"}}), &[]);
    finds(
        &CONFIG_MAPS,
        json!({"data": {"a/b": "c"}}),
        &["data[a/b]: Invalid value: \"a/b\": a valid config key"],
    );
    finds(
        &CONFIG_MAPS,
        json!({"data": {"a": "x".repeat(1 << 20), "b": "y"}}),
        &["data: Too long: may not be more than 1048576 bytes"],
    );
    finds(
        &SECRETS,
        json!({"type": "kubernetes.io/tls", "data": {"tls.crt": "YWJj"}}),
        &["data[tls.key]: Required value"],
    );
    finds(
        &LEASES,
        json!({"spec": {"leaseDurationSeconds": 0}}),
        &["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
    );
    finds(
        &EVENTS,
        json!({"involvedObject": {"namespace": "other"}}),
        &["involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"],
    );
    finds(
        &NODES,
        json!({"spec": {"taints": [{"key": "a", "effect": "Never"}]}}),
        &["spec.taints[0].effect: Unsupported value"],
    );
}

#[test]
fn plugins() {
    for image in [
        "oci://registry.example/plugins/rate-limit:1.2",
        "file://plugins/a.wasm",
        "builtin://denier",
        "rate-limit:v1",
        "acme/rate@sha256:00",
    ] {
        finds(&PLUGINS, json!({"spec": {"image": image}}), &[]);
    }
    for image in [
        "oci://x",
        "file://../etc/passwd",
        "builtin://No",
        "ftp://a/b",
        "a b",
        "-a",
        "file:///",
    ] {
        finds(
            &PLUGINS,
            json!({"spec": {"image": image}}),
            &["spec.image: Invalid value"],
        );
    }
    finds(
        &PLUGINS,
        json!({"spec": {"image": ""}}),
        &["spec.image: Required value: must be the name"],
    );
    finds(&PLUGINS, json!({}), &["spec: Required value"]);
    let digest = format!("sha256:{}", "0".repeat(64));
    finds(
        &PLUGINS,
        json!({"spec": {"image": "a", "digest": digest, "grants": {"http": ["https://limits.example"]}}}),
        &[],
    );
    finds(
        &PLUGINS,
        json!({"spec": {"image": "a", "digest": "sha256:0", "grants": {"http": ["https://a/b"], "env": {"a=b": "c"}}, "limits": {"memory": "1", "deadline": "1m", "instances": 0}, "failurePolicy": "Shrug"}}),
        &[
            "spec.failurePolicy: Unsupported value",
            "spec.limits.instances: Invalid value: 0",
            "spec.digest: Invalid value",
            "spec.grants.http[0]: Invalid value",
            "spec.grants.env: Invalid value",
            "spec.limits.memory: Invalid value: \"1\": must be from 64Ki to 1Gi",
            "spec.limits.deadline: Invalid value: \"1m\": must be more than 0 and at most 10s",
        ],
    );
}

#[test]
fn policies() {
    let action = json!({"plugin": "rate-limit", "template": "quota", "fields": {"dimensions": "{}"}, "amount": "1"});
    finds(
        &POLICIES,
        json!({"spec": {"targetRefs": [{"kind": "Service", "name": "reviews"}], "match": "true", "actions": [action], "rollout": {"plugin": "v2", "percent": 5, "abortOn": {"errorRate": "1%", "p99": "2ms"}}}}),
        &[],
    );
    finds(
        &POLICIES,
        json!({"spec": {"actions": []}}),
        &["spec.actions: Invalid value: []: spec.actions in body should have at least 1 items"],
    );
    finds(
        &POLICIES,
        json!({"spec": {"targetRefs": [{"kind": "Pod", "name": "A"}], "selector": {"matchLabels": {"a": "-"}, "matchExpressions": [{"key": "a", "operator": "Like"}]}, "match": " ", "actions": [{"plugin": "p", "template": "a:b", "amount": ""}], "rollout": {"plugin": "v2", "percent": 101, "abortOn": {"errorRate": "1"}}}}),
        &[
            "spec.rollout.percent: Invalid value: 101",
            "spec.targetRefs[0].kind: Unsupported value",
            "spec.selector: Forbidden",
            "spec.targetRefs[0].name: Invalid value",
            "spec.selector.matchLabels: Invalid value",
            "spec.selector.matchExpressions: Invalid value",
            "spec.match: Invalid value",
            "spec.actions[0].template: Invalid value",
            "spec.actions[0].amount: Invalid value",
            "spec.rollout.abortOn.errorRate: Invalid value",
        ],
    );
}

#[test]
fn virtual_services() {
    let to = |host: &str, weight: Value| json!({"destination": {"host": host}, "weight": weight});
    finds(
        &VIRTUAL_SERVICES,
        json!({"spec": {"hosts": ["*", "reviews", "*.example.com"], "gateways": ["bookinfo", "istio-system/public", "mesh"], "http": [
        {"match": [{"uri": {"prefix": "/a"}, "headers": {"end-user": {"exact": "j"}, "any": {}}}], "route": [to("reviews", json!(90)), to("reviews.default.svc.cluster.local", json!(10))], "timeout": "2s", "retries": {"attempts": 3, "perTryTimeout": "500ms"}},
        {"redirect": {"uri": "/b", "redirectCode": 302}}, {"directResponse": {"status": 503}}, {"fault": {"abort": {"httpStatus": 500, "percentage": {"value": 50}}}, "route": [to("a", Value::Null)]}]}}),
        &[],
    );
    finds(
        &VIRTUAL_SERVICES,
        json!({"spec": {"hosts": ["a", "a", "b c"]}}),
        &[
            "spec.hosts[2]: Invalid value",
            "spec.hosts[1]: Duplicate value",
            "spec.http: Required value",
        ],
    );
    finds(
        &VIRTUAL_SERVICES,
        json!({"spec": {"hosts": ["a"], "http": [
        {"route": [to("a", json!(0)), to("b", Value::Null)]}, {}, {"redirect": {"redirectCode": 200}, "route": [to("*.a", json!(1))]},
        {"match": [{"uri": {"regex": "(", "prefix": "/"}}], "route": [to("a", json!(-1))], "timeout": "soon"}]}}),
        &[
            "spec.http[3].route[0].weight: Invalid value: -1",
            "spec.http[0].route: Invalid value",
            "spec.http[1]: Required value",
            "spec.http[2]: Forbidden: HTTP route cannot contain both route and redirect",
            "spec.http[2].route[0].destination.host: Invalid value: \"*.a\"",
            "spec.http[2].redirect.redirectCode: Invalid value: 200",
            "spec.http[3].match[0].uri: Invalid value",
            "spec.http[3].match[0].uri.regex: Invalid value",
            "spec.http[3].timeout: Invalid value: \"soon\"",
        ],
    );
    finds(
        &VIRTUAL_SERVICES,
        json!({"spec": {"gateways": ["g"], "http": [{"fault": {"delay": {}}, "route": [to("a", Value::Null)]}]}}),
        &[
            "spec.hosts: Required value",
            "spec.http[0].fault.delay.fixedDelay: Required value",
        ],
    );
}

#[test]
fn gateways_and_destination_rules() {
    let port = json!({"number": 80, "protocol": "HTTP", "name": "http"});
    finds(
        &GATEWAYS,
        json!({"spec": {"selector": {"istio": "ingressgateway"}, "servers": [{"port": port, "hosts": ["*", "./a.b", "ns/*.c.d"]}]}}),
        &[],
    );
    finds(
        &GATEWAYS,
        json!({"spec": {"servers": [{"port": {"number": 443, "protocol": "HTTPS", "name": "s"}, "hosts": ["a"]}, {"port": {"number": 443, "protocol": "TLS", "name": "s"}, "hosts": ["a"], "tls": {"mode": "SIMPLE"}}, {"port": {"number": 0, "protocol": "FTP"}, "hosts": []}]}}),
        &[
            "spec.servers[2].port.number: Invalid value: 0",
            "spec.servers[2].port.name: Required value",
            "spec.servers[0].tls: Required value",
            "spec.servers[1].tls.credentialName: Required value",
            "spec.servers[2].port.protocol: Unsupported value: \"FTP\"",
            "spec.servers[2].hosts: Required value",
            "spec.servers[1].port.name: Duplicate value",
        ],
    );
    finds(
        &DESTINATION_RULES,
        json!({"spec": {"host": "reviews", "trafficPolicy": {"loadBalancer": {"simple": "LEAST_REQUEST"}}, "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}}),
        &[],
    );
    finds(
        &DESTINATION_RULES,
        json!({"spec": {"host": "reviews", "trafficPolicy": {"outlierDetection": {"interval": "x", "maxEjectionPercent": 200}, "portLevelSettings": [{}]}, "subsets": [{"name": "v1"}, {"name": "v1"}]}}),
        &[
            "spec.trafficPolicy.outlierDetection.maxEjectionPercent: Invalid value: 200",
            "spec.trafficPolicy.outlierDetection.interval: Invalid value",
            "spec.trafficPolicy.portLevelSettings[0].port: Required value",
            "spec.subsets[1].name: Duplicate value",
        ],
    );
}

#[test]
fn service_and_workload_entries() {
    let port =
        |number: u16, name: &str| json!({"number": number, "name": name, "protocol": "HTTP"});
    finds(
        &SERVICE_ENTRIES,
        json!({"spec": {"hosts": ["a.example.com", "*.example.org"], "addresses": ["192.0.2.0/24", "2001:db8::1"], "ports": [port(80, "http")],
            "resolution": "STATIC", "endpoints": [{"address": "192.0.2.1", "ports": {"http": 8080}}]}}),
        &[],
    );
    finds(
        &SERVICE_ENTRIES,
        json!({"spec": {"hosts": ["*", "a", "a"], "addresses": ["192.0.2.0/33"], "ports": [port(80, "x"), port(80, "x")],
            "resolution": "STATIC", "endpoints": [{"address": "b.example.com", "ports": {"x": 0}}], "workloadSelector": {"labels": {"a": "b"}}}}),
        &[
            "spec.endpoints[0].ports.x: Invalid value: 0",
            "spec.hosts[0]: Invalid value: \"*\"",
            "spec.hosts[2]: Duplicate value",
            "spec.ports[1].number: Duplicate value",
            "spec.ports[1].name: Duplicate value",
            "spec.addresses[0]: Invalid value",
            "spec.endpoints: Forbidden",
            "spec.endpoints[0].address: Invalid value",
        ],
    );
    finds(
        &SERVICE_ENTRIES,
        json!({"spec": {"hosts": ["*.a.com"], "ports": [port(80, "x")], "resolution": "DNS"}}),
        &["spec.hosts[0]: Invalid value: \"*.a.com\""],
    );
    finds(
        &SERVICE_ENTRIES,
        json!({"spec": {"hosts": []}}),
        &["spec.hosts: Required value"],
    );
    finds(
        &WORKLOAD_ENTRIES,
        json!({"spec": {"address": "not a name", "labels": {"a": "-"}}}),
        &["spec.labels: Invalid value", "spec.address: Invalid value"],
    );
    finds(
        &WORKLOAD_GROUPS,
        json!({"spec": {"template": {"labels": {"a": "b"}}}}),
        &[],
    );
}

#[test]
fn sidecars_name_hosts_with_their_namespaces() {
    let hosts = json!([
        "./*",
        "~/*",
        "*/*",
        "prod/*.prod.svc.cluster.local",
        "*/api.example.com"
    ]);
    let good = json!({"workloadSelector": {"labels": {"app": "a"}}, "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
        "egress": [{"port": {"number": 9080}, "hosts": ["./*"]}, {"hosts": hosts}]});
    finds(&SIDECARS, json!({"spec": good}), &[]);
    finds(&SIDECARS, json!({}), &[]);
    finds(
        &SIDECARS,
        json!({"spec": {"egress": [
            {"hosts": ["*.example.com", "Prod/*", "./a b"]},
            {"port": {"number": 80}, "hosts": []},
            {"port": {"number": 80}, "hosts": ["./*"]},
        ]}}),
        &[
            "spec.egress[0].hosts[0]: Invalid value",
            "spec.egress[0].hosts[1]: Invalid value",
            "spec.egress[0].hosts[2]: Invalid value",
            "spec.egress[0]: Invalid value",
            "spec.egress[1].hosts: Required value",
            "spec.egress[2].port.number: Duplicate value",
        ],
    );
}

#[test]
fn peer_authentications_select_the_pods_whose_ports_they_name() {
    let ports = json!({"8080": {"mode": "STRICT"}, "http": {"mode": "DISABLE"}});
    finds(
        &PEER_AUTHENTICATIONS,
        json!({"spec": {"mtls": {"mode": "STRICT"}, "portLevelMtls": ports}}),
        &[
            "spec.portLevelMtls: Forbidden",
            "spec.portLevelMtls.http: Invalid value",
        ],
    );
    let selector = json!({"matchLabels": {"app": "a"}});
    let good =
        json!({"spec": {"selector": selector, "portLevelMtls": {"8080": {"mode": "PERMISSIVE"}}}});
    finds(&PEER_AUTHENTICATIONS, good, &[]);
}

fn updates(resource: &Resource, old: Value, new: Value) -> Vec<String> {
    let prepare = |value: Value| {
        let mut object = object(resource, value);
        defaults::apply(resource, &mut object);
        object
    };
    validate_update(resource, &prepare(old), &prepare(new))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_pod_keeps_its_spec() {
    let change = |pointer: &str, value: Value| {
        let mut pod = good_pod();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        pod.pointer_mut(parent).unwrap()[key] = value;
        updates(&PODS, good_pod(), pod)
    };
    assert_eq!(
        change("/spec/containers/0/image", json!("reviews:v2")),
        Vec::<String>::new()
    );
    assert_eq!(
        change("/spec/activeDeadlineSeconds", json!(5)),
        Vec::<String>::new()
    );
    assert_eq!(
        change(
            "/spec/tolerations",
            json!([{"operator": "Exists"}, {"key": "a", "operator": "Exists"}])
        ),
        Vec::<String>::new()
    );
    let found = change("/spec/nodeSelector", json!({"c": "d"}));
    assert!(
        found[0].starts_with("spec: Forbidden: pod updates may not change fields other than"),
        "{found:?}"
    );
    assert!(
        found[0].ends_with("changed: spec.nodeSelector"),
        "{found:?}"
    );
    assert!(
        change(
            "/spec/containers",
            json!([{"name": "c", "image": "i"}, {"name": "d", "image": "i"}])
        )[0]
        .starts_with("spec.containers: Forbidden")
    );
    assert!(change("/spec/tolerations", json!([]))[0].starts_with("spec.tolerations: Forbidden"));
}

#[test]
fn a_pod_goes_to_a_node_once() {
    let on = |node: Value| {
        let mut pod = good_pod();
        pod["spec"]["nodeName"] = node;
        pod
    };
    assert_eq!(
        updates(&PODS, good_pod(), on("n".into())),
        Vec::<String>::new()
    );
    assert_eq!(updates(&PODS, on("n".into()), on("m".into())).len(), 1);
    assert_eq!(updates(&PODS, on("n".into()), good_pod()).len(), 1);
}

#[test]
fn other_things_that_stay() {
    let named = |uid: &str| json!({"metadata": {"uid": uid}});
    assert_eq!(
        updates(&CONFIG_MAPS, named("a"), named("b")),
        ["metadata.uid: Invalid value: \"b\": field is immutable"]
    );
    let service = |ip: &str| json!({"spec": {"clusterIP": ip, "ports": [{"port": 80}]}});
    assert_eq!(
        updates(&SERVICES, service("10.0.0.1"), service("10.0.0.2")),
        ["spec.clusterIP: Invalid value: \"10.0.0.2\": may not change once set"]
    );
    assert_eq!(
        updates(&SERVICES, service("10.0.0.1"), service("10.0.0.1")),
        Vec::<String>::new()
    );
    let fixed = |data: &str| json!({"immutable": true, "data": {"a": data}});
    assert_eq!(
        updates(&CONFIG_MAPS, fixed("1"), fixed("2")),
        ["data: Forbidden: field is immutable when `immutable` is set"]
    );
    assert_eq!(
        updates(&SECRETS, json!({"type": "a/b"}), json!({"type": "c/d"})),
        ["type: Invalid value: \"c/d\": field is immutable"]
    );
    let finalized = |list: Value| json!({"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z", "finalizers": list}});
    assert_eq!(
        updates(
            &CONFIG_MAPS,
            finalized(json!(["a/b"])),
            finalized(json!([]))
        ),
        Vec::<String>::new()
    );
    assert!(
        updates(
            &CONFIG_MAPS,
            finalized(json!([])),
            finalized(json!(["a/b"]))
        )[0]
        .starts_with("metadata.finalizers: Forbidden: no new finalizers")
    );
}

#[test]
fn volumes_and_their_classes_stay_as_they_are() {
    let volume = |spec: serde_json::Value| {
        let mut whole = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}});
        whole
            .as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        json!({"spec": whole})
    };
    finds(
        &PERSISTENT_VOLUMES,
        volume(json!({"local": {"path": "/x"}})),
        &["spec.nodeAffinity: Required value: Local volume requires node affinity"],
    );
    let changes = |resource, old: serde_json::Value, new: serde_json::Value| {
        let faults = validate_update(resource, &object(resource, old), &object(resource, new));
        faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let [a, b] = ["/a", "/b"].map(|path| volume(json!({"hostPath": {"path": path}})));
    assert!(changes(&PERSISTENT_VOLUMES, a, b).contains("persistentvolumesource is immutable"));
    let class = |policy: &str, mode: &str| json!({"provisioner": "local.osier.dev", "reclaimPolicy": policy, "volumeBindingMode": mode});
    let told = changes(
        &STORAGE_CLASSES,
        class("Delete", "Immediate"),
        class("Retain", "WaitForFirstConsumer"),
    );
    assert!(
        told.contains("updates to reclaimPolicy are forbidden.")
            && told.contains("field is immutable"),
        "{told}"
    );
    finds(
        &STORAGE_CLASSES,
        class("Recycle", "Later"),
        &[
            "reclaimPolicy: Unsupported value: \"Recycle\"",
            "volumeBindingMode: Unsupported value: \"Later\"",
        ],
    );
}

#[test]
fn whom_an_object_is_shown_to() {
    let shown = |export: serde_json::Value| json!({"spec": {"host": "a", "exportTo": export}});
    for good in [
        json!(["*"]),
        json!(["."]),
        json!(["~"]),
        json!([".", "shop"]),
    ] {
        finds(&DESTINATION_RULES, shown(good), &[]);
    }
    for (bad, words) in [
        (json!(["*", "."]), "spec.exportTo[0]: Invalid value: \"*\""),
        (json!(["a", "~"]), "spec.exportTo[1]: Invalid value: \"~\""),
        (
            json!(["Bad NS"]),
            "spec.exportTo[0]: Invalid value: \"Bad NS\"",
        ),
        (json!([".", "."]), "spec.exportTo[1]: Duplicate value"),
    ] {
        finds(&DESTINATION_RULES, shown(bad), &[words]);
    }
}

#[test]
fn an_autoscaler_says_how_much_in_the_terms_of_its_metric() {
    let target = json!({"type": "Utilization", "averageUtilization": 1});
    let metric = json!({"type": "Pods", "pods": {"metric": {"name": "istio_requests_per_second"}, "target": target}});
    let spec = json!({"scaleTargetRef": {"kind": "Deployment", "name": "a"}, "maxReplicas": 2, "metrics": [metric]});
    finds(
        &osier_api::resources::HORIZONTAL_POD_AUTOSCALERS,
        json!({"spec": spec}),
        &[
            "spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue",
        ],
    );
}
