//! What a policy and its plugins have to do with other objects, as the API server has them.

use osier_api::{Object, resources};
use osier_apiserver::Read;
use osier_policy::Sought;
use serde_json::Value;

use super::admission::ROOT_NAMESPACE;

/// What happens to a policy none of whose targets is there.
pub(super) const MEANWHILE: &str =
    "the policy is loaded and checks no call until what it concerns is there";

/// Whether something that a policy may concern is there.
pub(super) fn there(objects: &dyn Read, sought: Sought<'_>) -> bool {
    match sought {
        Sought::Service { namespace, name } => {
            let of = |resource| objects.get(resource, namespace, name).is_some();
            of(&resources::SERVICES) || of(&resources::SERVICE_ENTRIES)
        }
        Sought::Gateway(name) => {
            let gateways = [&resources::GATEWAYS, &resources::gateway_api::GATEWAYS];
            let mut all = gateways.map(|kind| objects.list(kind, "")).into_iter();
            all.any(|list| list.iter().any(|one| is_gateway(one, name)))
        }
        Sought::Namespace(name) => objects.get(&resources::NAMESPACES, "", name).is_some(),
        Sought::Workload { namespace, selects } => {
            let kinds = [&resources::PODS, &resources::WORKLOAD_ENTRIES];
            let mut all = kinds
                .map(|kind| objects.list(kind, namespace.unwrap_or_default()))
                .into_iter();
            all.any(|list| list.iter().any(|one| selects(&labels(one))))
        }
    }
}

/// A name without a namespace means a gateway of any.
fn is_gateway(gateway: &Object, name: &str) -> bool {
    match name.split_once('/') {
        Some((place, name)) => gateway.namespace() == place && gateway.name() == name,
        None => gateway.name() == name,
    }
}

fn labels(object: &Object) -> Vec<(String, String)> {
    let labels = object.labels().into_iter();
    labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A warning if policies ask a plugin that is about to be deleted.
pub(super) fn users(objects: &dyn Read, plugin: &Object) -> Vec<String> {
    let (namespace, name) = (plugin.namespace(), plugin.name());
    let everywhere = namespace == ROOT_NAMESPACE;
    let policies = objects.list(
        &resources::POLICIES,
        if everywhere { "" } else { namespace },
    );
    // A namespace's own plugin of that name goes before the one for all.
    let own = |policy: &Object| {
        let place = policy.namespace();
        place != namespace && objects.get(&resources::PLUGINS, place, name).is_some()
    };
    let users: Vec<String> = policies
        .iter()
        .filter(|policy| asks(policy, name) && !own(policy))
        .map(|policy| format!("{}/{}", policy.namespace(), policy.name()))
        .collect();
    if users.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "Plugin {namespace}/{name} is still asked by Policy {}: in {} s their calls go by the failure policy (Fail refuses them); delete them too, or apply the plugin again",
        users.join(", "),
        osier_node::PLUGIN_GRACE.as_secs(),
    )]
}

fn asks(policy: &Object, plugin: &str) -> bool {
    let actions = policy
        .get(&["spec", "actions"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut named = actions.filter_map(|action| action["plugin"].as_str());
    named.any(|name| name == plugin) || policy.text(&["spec", "rollout", "plugin"]) == plugin
}
