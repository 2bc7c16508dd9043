//! No field of a pod is forgotten: the schema is walked, and `docs/conformance/pods.md` says of each what becomes of it.

use std::collections::{BTreeMap, BTreeSet};

use osier_api::Object;
use osier_api::resources::PODS;
use osier_api::schema::definition;
use serde_json::{Value, json};

use crate::warnings;

const TABLE: &str = include_str!("../../../../docs/conformance/pods.md");

/// What becomes of fields, by the names of definition and field.
fn table() -> BTreeMap<(&'static str, &'static str), &'static str> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| ")).skip(1);
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert!(cells.len() == 6, "{line}");
        ((cells[1], cells[2]), cells[3])
    };
    rows.map(row).collect()
}

/// A value with another one at a dotted path, whose lists have one element.
fn nested(mut whole: Value, at: &str, one: Value) -> Value {
    let place = at
        .split('.')
        .fold(&mut whole, |value, step| match step.strip_suffix("[0]") {
            Some(list) => {
                value[list] = json!([{}]);
                &mut value[list][0]
            }
            None => &mut value[step],
        });
    *place = one;
    whole
}

/// A pod with one field of a definition, and where in it that definition stands.
fn pod(definition: &str, one: Value) -> Option<(Value, String)> {
    let container = |at: &str, one: Value| {
        let container = nested(json!({}), at, one);
        (
            json!({"containers": [container]}),
            format!("spec.containers[0].{at}"),
        )
    };
    let volume = |at: &str, one: Value| {
        let volume = nested(json!({"name": "v"}), at, one);
        (
            json!({"volumes": [volume]}),
            format!("spec.volumes[0].{at}"),
        )
    };
    Some(match definition {
        "PodSpec" => (one, "spec".to_owned()),
        "PodSecurityContext" => (
            json!({"securityContext": one}),
            "spec.securityContext".to_owned(),
        ),
        "Container" => (
            json!({"containers": [one]}),
            "spec.containers[0]".to_owned(),
        ),
        "ContainerPort" => container("ports[0]", one),
        "ResourceRequirements" => container("resources", one),
        "EnvVarSource" => container("env[0].valueFrom", one),
        "Probe" => container("livenessProbe", one),
        "Lifecycle" => container("lifecycle", one),
        "LifecycleHandler" => container("lifecycle.preStop", one),
        "HTTPGetAction" => container("readinessProbe.httpGet", one),
        "TCPSocketAction" => container("startupProbe.tcpSocket", one),
        "GRPCAction" => container("readinessProbe.grpc", one),
        "VolumeMount" => container("volumeMounts[0]", one),
        "SecurityContext" => container("securityContext", one),
        "Volume" => (json!({"volumes": [one]}), "spec.volumes[0]".to_owned()),
        "EmptyDirVolumeSource" => volume("emptyDir", one),
        "ConfigMapVolumeSource" => volume("configMap", one),
        "SecretVolumeSource" => volume("secret", one),
        "DownwardAPIVolumeSource" => volume("downwardAPI", one),
        "ProjectedVolumeSource" => volume("projected", one),
        "VolumeProjection" => volume("projected.sources[0]", one),
        "KeyToPath" => volume("configMap.items[0]", one),
        "DownwardAPIVolumeFile" => volume("downwardAPI.items[0]", one),
        "ServiceAccountTokenProjection" => volume("projected.sources[0].serviceAccountToken", one),
        "HostPathVolumeSource" => volume("hostPath", one),
        "PersistentVolumeClaimVolumeSource" => volume("persistentVolumeClaim", one),
        _ => return None,
    })
}

/// Something that a field may say, and that would be surprising if it did nothing.
fn sample(definition: &str, field: &str, schema: &Value) -> Value {
    match (definition, field) {
        ("PodSpec", "hostUsers") => json!(false),
        ("PodSpec", "os") => json!({"name": "windows"}),
        ("PodSpec", "dnsPolicy") => json!("None"),
        ("PodSpec", "containers" | "initContainers") => json!([{"name": "x"}]),
        ("PodSpec", "securityContext") | ("Container", "securityContext") => {
            json!({"runAsUser": 1})
        }
        ("Container", "terminationMessagePolicy") => json!("FallbackToLogsOnError"),
        ("ContainerPort", "protocol") => json!("SCTP"),
        ("VolumeMount", "mountPropagation") => json!("Bidirectional"),
        ("HTTPGetAction", "scheme") => json!("HTTPS"),
        ("GRPCAction", "mode") => json!("TLS"),
        ("ResourceRequirements", "limits" | "requests") => {
            json!({"cpu": "1", "ephemeral-storage": "1Gi"})
        }
        _ => match schema["type"].as_str() {
            Some("boolean") => json!(true),
            Some("integer") => json!(1),
            Some("array") => json!([{"name": "x"}]),
            Some("string") => json!("x"),
            _ => json!({"name": "x"}),
        },
    }
}

#[test]
fn every_field_of_the_schema_stands_in_the_table_and_does_what_it_says() {
    let table = table();
    let definitions: BTreeSet<&str> = table.keys().map(|(definition, _)| *definition).collect();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for name in definitions {
        let schema = definition(&format!("io.k8s.api.core.v1.{name}")).unwrap();
        for (field, property) in schema["properties"].as_object().unwrap() {
            seen.insert((name, field.as_str()));
            let Some(fate) = table.get(&(name, field.as_str())) else {
                faults.push(format!("{name}.{field} is not in the table"));
                continue;
            };
            let (spec, at) = pod(name, json!({field: sample(name, field, property)})).unwrap();
            let pod = Object::from_value(json!({"metadata": {"name": "x"}, "spec": spec})).unwrap();
            let said = warnings(&PODS, &pod);
            let path = format!("{at}.{field}");
            let about = |text: &&String| {
                let rest = text.strip_prefix(&path);
                rest.is_some_and(|rest| rest.starts_with([':', '.', '[']))
            };
            let found = said.iter().find(about);
            let fits = match *fate {
                "honoured" | "as is" => found.is_none(),
                "Warning" => found.is_some_and(|text| text.contains("has no effect: ")),
                "waits" => found.is_some_and(|text| text.contains("CreateContainerConfigError")),
                _ => false,
            };
            if !fits {
                faults.push(format!("{path} is to be {fate}, and it is said: {said:?}"));
            }
        }
    }
    let stray = table.keys().filter(|key| !seen.contains(*key));
    faults.extend(stray.map(|(name, field)| format!("{name}.{field} is in no schema")));
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The definitions that a pod is made of are in the table, but for those that are read whole: selectors, affinity, tolerations, metadata,
/// and sources of volumes that nobody mounts.
#[test]
fn no_definition_is_forgotten() {
    let table = table();
    let listed: BTreeSet<&str> = table.keys().map(|(definition, _)| *definition).collect();
    for wanted in [
        "PodSpec",
        "Container",
        "Volume",
        "VolumeMount",
        "Probe",
        "LifecycleHandler",
        "SecurityContext",
        "PodSecurityContext",
    ] {
        assert!(listed.contains(wanted), "{wanted}");
    }
    for name in listed {
        assert!(
            pod(name, json!({})).is_some(),
            "{name}: where does it stand in a pod?"
        );
    }
}
