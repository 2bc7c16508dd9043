//! Variables from every source, as Kubernetes gives them.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

fn pod() -> Object {
    object(
        json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "serviceAccountName": "default"}}),
    )
}

fn sources() -> Sources {
    let config = object(json!({"metadata": {"name": "c"}, "data": {"COLOR": "red", "SIZE": "2"}}));
    let secret = object(json!({"metadata": {"name": "s"}, "data": {"TOKEN": "c2VjcmV0"}}));
    [
        ((SourceKind::ConfigMap, "c".to_owned()), config),
        ((SourceKind::Secret, "s".to_owned()), secret),
    ]
    .into()
}

fn place() -> Place {
    Place {
        pod_ip: Ipv4Addr::new(10, 244, 0, 9),
        host_ip: "127.0.0.1".to_owned(),
        allocatable_cpu: 2000,
        allocatable_memory: 1 << 30,
    }
}

fn read(container: &Value) -> Result<Vec<(String, String)>, ConfigError> {
    variables(&pod(), container, &sources(), &place())
}

fn get(container: &Value, name: &str) -> String {
    let found = read(container).unwrap();
    found.into_iter().find(|(key, _)| key == name).unwrap().1
}

#[test]
fn a_pod_knows_its_host_name() {
    let mut named = pod();
    named.set(&["spec", "hostname"], "web-0".into());
    let host = |container: &Value| {
        let found = variables(&named, container, &sources(), &place()).unwrap();
        found
            .into_iter()
            .find(|(key, _)| key == "HOSTNAME")
            .unwrap()
            .1
    };
    assert_eq!(host(&json!({})), "web-0");
    assert_eq!(
        host(&json!({"env": [{"name": "HOSTNAME", "value": "mine"}]})),
        "mine"
    );
}

#[test]
fn env_wins_over_env_from_and_sees_it() {
    let container = json!({"envFrom": [{"configMapRef": {"name": "c"}}, {"prefix": "S_", "secretRef": {"name": "s"}}],
        "env": [{"name": "COLOR", "value": "dark-$(COLOR)"}, {"name": "RAW", "value": "$$(COLOR) $(NONE) $5"}]});
    let expected = [
        ("COLOR", "dark-red"),
        ("SIZE", "2"),
        ("S_TOKEN", "secret"),
        ("RAW", "$(COLOR) $(NONE) $5"),
        ("HOSTNAME", "web"),
    ];
    let expected: Vec<_> = expected
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    assert_eq!(read(&container).unwrap(), expected);
}

#[test]
fn the_pods_own_fields() {
    let from = |path: &str| json!({"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]});
    let cases = [
        ("metadata.name", "web"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u"),
        ("spec.nodeName", "n1"),
        ("status.podIP", "10.244.0.9"),
        ("status.hostIP", "127.0.0.1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
    ];
    for (path, value) in cases {
        assert_eq!(get(&from(path), "X"), value, "{path}");
    }
    assert!(
        read(&from("spec.secret"))
            .unwrap_err()
            .to_string()
            .contains("\"spec.secret\"")
    );
}

#[test]
fn resources_are_divided_and_rounded_up() {
    let from = |resource: &str, divisor: &str| {
        json!({"resources": {"limits": {"memory": "100Mi"}, "requests": {"cpu": "1500m"}},
            "env": [{"name": "X", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}]})
    };
    assert_eq!(get(&from("limits.memory", "1Mi"), "X"), "100");
    assert_eq!(get(&from("requests.cpu", "1"), "X"), "2");
    assert_eq!(get(&from("requests.cpu", "1m"), "X"), "1500");
    assert_eq!(
        get(&from("limits.cpu", "0"), "X"),
        "2",
        "a container without a limit has the node's"
    );
}

#[test]
fn what_is_missing_is_named_unless_optional() {
    let key = |object: &str, key: &str, optional: bool| json!({"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": object, "key": key, "optional": optional}}}]});
    assert_eq!(
        read(&key("none", "K", false)).unwrap_err().to_string(),
        "configmap \"none\" not found"
    );
    assert_eq!(
        read(&key("c", "K", false)).unwrap_err().to_string(),
        "couldn't find key K in ConfigMap shop/c"
    );
    for object in ["none", "c"] {
        let read = read(&key(object, "K", true)).unwrap();
        let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["HOSTNAME"], "of {object}");
    }
    let all = references(&json!({"envFrom": [{"secretRef": {"name": "s"}}],
        "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]}));
    assert_eq!(all.len(), 2);
}

#[test]
fn arguments_start_with_the_command_or_the_name() {
    let variables = [("WHO".to_owned(), "you".to_owned())];
    let container = json!({"name": "web", "args": ["hello", "$(WHO)"]});
    assert_eq!(arguments(&container, &variables), ["web", "hello", "you"]);
    let container = json!({"name": "web", "command": ["run", "-v"], "args": ["x"]});
    assert_eq!(arguments(&container, &variables), ["run", "-v", "x"]);
}
