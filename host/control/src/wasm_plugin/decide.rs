//! What a WasmPlugin means: one Plugin, and a Policy for each side on which it filters.

use osier_api::resources::{PLUGINS, POLICIES};
use osier_api::{Object, Resource};
use serde_json::{Map, Value, json};

use crate::ownership::reference;

/// What is to exist.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub(super) plugin: Option<Object>,
    pub(super) policies: Vec<Object>,
    /// Fields that cannot be honoured; while there is one, nothing is to exist.
    pub(super) faults: Vec<String>,
}

/// The name of the Plugin of a WasmPlugin.
pub(super) fn plugin_name(name: &str) -> String {
    format!("wasmplugin-{name}")
}

/// What a WasmPlugin asks for.
pub(super) fn decide(wasm: &Object) -> Wanted {
    let faults = faults(wasm);
    if !faults.is_empty() {
        return Wanted {
            faults,
            ..Wanted::default()
        };
    }
    let name = plugin_name(wasm.name());
    let directions = directions(wasm);
    let policy = |direction: &&'static str| {
        let side = direction.to_lowercase();
        let order = order(wasm);
        let spec = policy_spec(wasm, &name, direction);
        owned(
            &POLICIES,
            wasm,
            (&format!("wasmplugin-{order}-{}-{side}", wasm.name()), spec),
        )
    };
    Wanted {
        plugin: Some(owned(&PLUGINS, wasm, (&name, plugin_spec(wasm)))),
        policies: directions.iter().map(policy).collect(),
        faults,
    }
}

fn text<'a>(wasm: &'a Object, field: &str) -> &'a str {
    let value = wasm.get(&["spec", field]).and_then(Value::as_str);
    value.unwrap_or_default()
}

fn list<'a>(wasm: &'a Object, field: &str) -> &'a [Value] {
    let value = wasm.get(&["spec", field]).and_then(Value::as_array);
    value.map_or(&[], Vec::as_slice)
}

fn owned(resource: &'static Resource, wasm: &Object, (name, spec): (&str, Value)) -> Object {
    let mut object = Object::new(resource, wasm.namespace(), name);
    object.set(&["metadata", "ownerReferences"], json!([reference(wasm)]));
    object.set(&["spec"], spec);
    object
}

fn plugin_spec(wasm: &Object) -> Value {
    let env: Map<String, Value> = wasm
        .get(&["spec", "vmConfig", "env"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| Some((one["name"].as_str()?.to_owned(), one["value"].clone())))
        .collect();
    let failure = match text(wasm, "failStrategy") {
        "FAIL_OPEN" => "Ignore",
        // A VM that failed is made anew in any case.
        _ => "Fail",
    };
    let mut spec = json!({"image": text(wasm, "url"), "failurePolicy": failure});
    if let Some(config) = wasm.get(&["spec", "pluginConfig"]) {
        spec["config"] = config.clone();
    }
    if !env.is_empty() {
        spec["grants"] = json!({"env": env});
    }
    let digest = text(wasm, "sha256");
    if !digest.is_empty() {
        let hex = digest.trim_start_matches("sha256:");
        spec["digest"] = format!("sha256:{hex}").into();
    }
    spec
}

fn policy_spec(wasm: &Object, plugin: &str, direction: &str) -> Value {
    let actions = json!([{"plugin": plugin, "hook": "filter"}]);
    let mut spec = json!({"direction": direction, "actions": actions});
    let targets: Vec<Value> = targets(wasm)
        .map(|target| json!({"kind": "Service", "name": target["name"]}))
        .collect();
    if !targets.is_empty() {
        spec["targetRefs"] = targets.into();
    } else if is_gateway(wasm) {
        spec["targetRefs"] = json!([{"kind": "Gateway", "name": "gateway"}]);
    } else if let Some(labels) = wasm.get(&["spec", "selector", "matchLabels"]) {
        spec["selector"] = json!({"matchLabels": labels});
    }
    spec
}

fn targets(wasm: &Object) -> impl Iterator<Item = &Value> {
    let one = wasm
        .get(&["spec", "targetRef"])
        .filter(|one| one.is_object());
    list(wasm, "targetRefs").iter().chain(one)
}

/// Istio's label of gateways, which are no pods here.
fn is_gateway(wasm: &Object) -> bool {
    let labels = wasm.get(&["spec", "selector", "matchLabels"]);
    labels.is_some_and(|labels| *labels == json!({"istio": "ingressgateway"}))
}

/// The sides on which it filters.
fn directions(wasm: &Object) -> Vec<&'static str> {
    // A gateway calls, and a target is called.
    if is_gateway(wasm) {
        return vec!["Outbound"];
    }
    if targets(wasm).next().is_some() {
        return vec!["Inbound"];
    }
    let modes: Vec<&str> = list(wasm, "match")
        .iter()
        .map(|one| one["mode"].as_str().unwrap_or_default())
        .collect();
    let all = modes.is_empty();
    let both = |mode: &&str| matches!(*mode, "" | "UNDEFINED" | "CLIENT_AND_SERVER");
    let side = |mode: &str| all || modes.iter().any(|own| both(own) || *own == mode);
    let mut sides = Vec::new();
    if side("SERVER") {
        sides.push("Inbound");
    }
    if side("CLIENT") {
        sides.push("Outbound");
    }
    sides
}

/// Policies are asked by name: phase first, then the greater priority.
fn order(wasm: &Object) -> String {
    let phase = match text(wasm, "phase") {
        "AUTHN" => 0,
        "AUTHZ" => 1,
        "STATS" => 2,
        _ => 3,
    };
    let priority = wasm.get(&["spec", "priority"]).and_then(Value::as_i64);
    let least = i64::from(i32::MAX)
        - priority
            .unwrap_or(0)
            .clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    format!("{phase}-{least:010}")
}

/// What this version cannot honour, each with the remedy.
fn faults(wasm: &Object) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |wrong: bool, words: &str| {
        if wrong {
            faults.push(format!("spec.{words}"));
        }
    };
    let url = text(wasm, "url");
    fault(
        url.starts_with("http://") || url.starts_with("https://"),
        "url: modules are not fetched over HTTP; push it to a registry (oci://) or import it",
    );
    fault(
        text(wasm, "type") == "NETWORK",
        "type: raw connections are not offered to modules; remove the field",
    );
    fault(
        !text(wasm, "pluginName").is_empty(),
        "pluginName: a module with several plugins is not supported; remove the field",
    );
    fault(
        !text(wasm, "imagePullSecret").is_empty(),
        "imagePullSecret: is not supported; remove the field",
    );
    fault(
        !text(wasm, "verificationKey").is_empty(),
        "verificationKey: signatures are not verified; pin sha256 instead",
    );
    let of_host = wasm
        .get(&["spec", "vmConfig", "env"])
        .and_then(Value::as_array);
    let of_host = of_host
        .into_iter()
        .flatten()
        .any(|one| one["valueFrom"] == "HOST");
    fault(
        of_host,
        "vmConfig.env: values of the host's environment are not given out; write the value",
    );
    let ports = list(wasm, "match").iter();
    fault(
        ports
            .into_iter()
            .any(|one| one.get("ports").is_some_and(|ports| *ports != json!([]))),
        "match.ports: is not supported; remove the field",
    );
    let other = |target: &Value| target["kind"] != "Service";
    fault(
        targets(wasm).any(other),
        "targetRefs: only Services are told apart; for gateways use selector {istio: ingressgateway}",
    );
    faults
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn wasm(spec: &Value) -> Object {
        let object = json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
            "metadata": {"name": "auth", "namespace": "shop", "uid": "u"}, "spec": spec});
        Object::from_value(object).unwrap()
    }

    fn spec_of(object: &Object) -> Value {
        object.get(&["spec"]).cloned().unwrap()
    }

    #[test]
    fn a_wasm_plugin_is_a_plugin_and_policies() {
        let wanted = decide(&wasm(&json!({
            "url": "oci://registry/auth:1", "sha256": "ab", "pluginConfig": {"realm": "shop"}, "phase": "AUTHN", "priority": 10,
            "selector": {"matchLabels": {"app": "web"}}, "failStrategy": "FAIL_OPEN",
            "vmConfig": {"env": [{"name": "A", "value": "b"}]}, "match": [{"mode": "SERVER"}],
        })));
        let plugin = wanted.plugin.unwrap();
        assert_eq!(plugin.name(), "wasmplugin-auth");
        assert_eq!(plugin.controller_of().unwrap().uid, "u");
        assert_eq!(
            spec_of(&plugin),
            json!({"image": "oci://registry/auth:1", "digest": "sha256:ab", "config": {"realm": "shop"},
                "grants": {"env": {"A": "b"}}, "failurePolicy": "Ignore"})
        );
        assert_eq!(wanted.policies.len(), 1);
        assert_eq!(
            wanted.policies[0].name(),
            "wasmplugin-0-2147483637-auth-inbound"
        );
        assert_eq!(
            spec_of(&wanted.policies[0]),
            json!({"direction": "Inbound", "selector": {"matchLabels": {"app": "web"}},
                "actions": [{"plugin": "wasmplugin-auth", "hook": "filter"}]})
        );
    }

    #[test]
    fn where_it_stands_says_on_which_side_it_filters() {
        let sides = |spec: Value| {
            let mut spec = spec;
            spec["url"] = "x".into();
            let wanted = decide(&wasm(&spec));
            let all = wanted.policies.iter().map(spec_of);
            all.map(|spec| (spec["direction"].clone(), spec["targetRefs"].clone()))
                .collect::<Vec<_>>()
        };
        let (inbound, outbound) = (json!("Inbound"), json!("Outbound"));
        assert_eq!(
            sides(json!({})),
            [
                (inbound.clone(), Value::Null),
                (outbound.clone(), Value::Null)
            ]
        );
        assert_eq!(
            sides(json!({"match": [{"mode": "CLIENT"}]})),
            [(outbound.clone(), Value::Null)]
        );
        let gateway = json!([{"kind": "Gateway", "name": "gateway"}]);
        assert_eq!(
            sides(json!({"selector": {"matchLabels": {"istio": "ingressgateway"}}})),
            [(outbound, gateway)]
        );
        let service = json!([{"kind": "Service", "name": "web"}]);
        assert_eq!(
            sides(json!({"targetRefs": [{"group": "", "kind": "Service", "name": "web"}]})),
            [(inbound, service)]
        );
    }

    #[test]
    fn phases_come_first_then_greater_priorities() {
        let order = |spec: Value| order(&wasm(&spec));
        let names = [
            order(json!({"phase": "AUTHN"})),
            order(json!({"phase": "AUTHZ", "priority": 7})),
            order(json!({"phase": "AUTHZ"})),
            order(json!({"phase": "AUTHZ", "priority": -7})),
            order(json!({"phase": "STATS", "priority": 7})),
            order(json!({})),
        ];
        assert!(names.is_sorted(), "{names:?}");
    }

    #[test]
    fn what_cannot_be_honoured_is_said() {
        for (spec, field) in [
            (json!({"url": "https://example.com/a.wasm"}), "spec.url"),
            (json!({"type": "NETWORK"}), "spec.type"),
            (json!({"pluginName": "a"}), "spec.pluginName"),
            (json!({"imagePullSecret": "a"}), "spec.imagePullSecret"),
            (json!({"verificationKey": "a"}), "spec.verificationKey"),
            (
                json!({"vmConfig": {"env": [{"name": "A", "valueFrom": "HOST"}]}}),
                "spec.vmConfig.env",
            ),
            (
                json!({"match": [{"ports": [{"number": 80}]}]}),
                "spec.match.ports",
            ),
            (
                json!({"targetRefs": [{"kind": "Gateway", "name": "g"}]}),
                "spec.targetRefs",
            ),
        ] {
            let wanted = decide(&wasm(&spec));
            assert!(wanted.plugin.is_none() && wanted.policies.is_empty());
            assert!(wanted.faults[0].starts_with(field), "{:?}", wanted.faults);
        }
    }
}
