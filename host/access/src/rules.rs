//! [`Rules`]: every role and binding, kept as the store has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rbac::{Action, Rule, Subject};
use osier_api::selector::LabelSelector;
use osier_api::{Object, resources};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::user::User;

/// This group may do everything, whatever the rules say.
const MASTERS: &str = "system:masters";

/// The rules of the cluster, updated by each write of a role or binding before that write is answered.
#[derive(Default)]
pub struct Rules(RwLock<Index>);

#[derive(Default)]
struct Index {
    cluster_roles: BTreeMap<String, ClusterRole>,
    /// By namespace and name.
    roles: BTreeMap<(String, String), Arc<[Rule]>>,
    cluster_bindings: BTreeMap<String, Binding>,
    /// By namespace, then name.
    bindings: BTreeMap<String, BTreeMap<String, Binding>>,
}

struct ClusterRole {
    rules: Arc<[Rule]>,
    labels: BTreeMap<String, String>,
    /// Its rules are those of all roles that one of these selects.
    aggregates: Vec<LabelSelector>,
}

struct Binding {
    role: RoleName,
    subjects: Vec<Subject>,
}

/// What a binding's `roleRef` names.
pub(crate) struct RoleName {
    cluster: bool,
    name: String,
}

impl RoleName {
    /// The `roleRef` of a binding.
    pub(crate) fn of(binding: &Object) -> Self {
        Self {
            cluster: binding.text(&["roleRef", "kind"]) == resources::CLUSTER_ROLES.kind,
            name: binding.text(&["roleRef", "name"]).to_owned(),
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.cluster
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// A list of an object; what cannot be read is left out, which gives fewer rights, never more.
pub(crate) fn list<T: DeserializeOwned>(object: &Object, path: &[&str]) -> Vec<T> {
    let items = object.get(path).and_then(Value::as_array);
    let read = |item: &Value| serde_json::from_value(item.clone()).ok();
    items.into_iter().flatten().filter_map(read).collect()
}

impl Index {
    fn put(&mut self, object: &Object) {
        let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
        let rules = || list::<Rule>(object, &["rules"]).into();
        let binding = || Binding {
            role: RoleName::of(object),
            subjects: list(object, &["subjects"]),
        };
        match object.kind() {
            "ClusterRole" => {
                let role = ClusterRole {
                    rules: rules(),
                    labels: owned(object),
                    aggregates: selectors(object),
                };
                self.cluster_roles.insert(name, role);
            }
            "Role" => drop(self.roles.insert((namespace, name), rules())),
            "ClusterRoleBinding" => drop(self.cluster_bindings.insert(name, binding())),
            "RoleBinding" => {
                let here = self.bindings.entry(namespace).or_default();
                here.insert(name, binding());
            }
            _ => {}
        }
    }

    fn remove(&mut self, object: &Object) {
        let (namespace, name) = (object.namespace(), object.name());
        match object.kind() {
            "ClusterRole" => drop(self.cluster_roles.remove(name)),
            "Role" => drop(self.roles.remove(&(namespace.to_owned(), name.to_owned()))),
            "ClusterRoleBinding" => drop(self.cluster_bindings.remove(name)),
            "RoleBinding" => {
                if let Some(here) = self.bindings.get_mut(namespace) {
                    here.remove(name);
                    if here.is_empty() {
                        self.bindings.remove(namespace);
                    }
                }
            }
            _ => {}
        }
    }

    fn rules_of(&self, role: &RoleName, namespace: &str) -> Option<&Arc<[Rule]>> {
        if role.cluster {
            return self.cluster_roles.get(&role.name).map(|role| &role.rules);
        }
        self.roles.get(&(namespace.to_owned(), role.name.clone()))
    }

    /// The rules that bind a user in a namespace; only those of the whole cluster if it is empty.
    fn binding<'a>(
        &'a self,
        user: &'a User,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Arc<[Rule]>> {
        let means = move |binding: &&Binding, home: &str| {
            let mut subjects = binding.subjects.iter();
            subjects.any(|subject| subject.means(&user.name, &user.groups, home))
        };
        let everywhere = self.cluster_bindings.values();
        let everywhere = everywhere.filter(move |binding| means(binding, ""));
        let here = self
            .bindings
            .get(namespace)
            .into_iter()
            .flat_map(BTreeMap::values);
        let here = here.filter(move |binding| means(binding, namespace));
        everywhere
            .filter_map(|binding| self.rules_of(&binding.role, ""))
            .chain(here.filter_map(move |binding| self.rules_of(&binding.role, namespace)))
    }
}

fn owned(object: &Object) -> BTreeMap<String, String> {
    let labels = object.labels().into_iter();
    labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn selectors(object: &Object) -> Vec<LabelSelector> {
    let path = ["aggregationRule", "clusterRoleSelectors"];
    let items = object.get(&path).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|selector| LabelSelector::from_object(selector).ok())
        .collect()
}

impl Rules {
    /// Takes an object that is in the store.
    pub fn put(&self, object: &Object) {
        self.0.write().put(object);
    }

    /// Forgets an object that is gone from the store.
    pub fn remove(&self, object: &Object) {
        self.0.write().remove(object);
    }

    /// Whether a user may do something.
    pub fn allow(&self, user: &User, action: &Action<'_>) -> bool {
        if user.is_in(MASTERS) {
            return true;
        }
        let index = self.0.read();
        let mut rules = index.binding(user, action.namespace());
        rules.any(|rules| rules.iter().any(|rule| rule.allows(action)))
    }

    /// Everything that a user may do in a namespace, or in the whole cluster.
    pub fn held(&self, user: &User, namespace: &str) -> Vec<Rule> {
        let all = |text: &str| vec![text.to_owned()];
        if user.is_in(MASTERS) {
            let resources = Rule {
                verbs: all("*"),
                api_groups: all("*"),
                resources: all("*"),
                ..Rule::default()
            };
            let urls = Rule {
                verbs: all("*"),
                non_resource_urls: all("*"),
                ..Rule::default()
            };
            return vec![resources, urls];
        }
        let index = self.0.read();
        let rules = index.binding(user, namespace);
        rules.flat_map(|rules| rules.to_vec()).collect()
    }

    /// The rules of a role, if it is there.
    pub(crate) fn of(&self, role: &RoleName, namespace: &str) -> Option<Vec<Rule>> {
        let index = self.0.read();
        index.rules_of(role, namespace).map(|rules| rules.to_vec())
    }

    /// Every aggregated role whose rules are not those of the roles that it selects, with what they should be.
    pub fn to_aggregate(&self) -> Vec<(String, Vec<Rule>)> {
        let index = self.0.read();
        let aggregated = index
            .cluster_roles
            .iter()
            .filter(|(_, role)| !role.aggregates.is_empty());
        let wanted = aggregated.map(|(name, role)| (name, role, index.union(name, role)));
        wanted
            .filter(|(_, role, rules)| *role.rules != **rules)
            .map(|(name, _, rules)| (name.clone(), rules))
            .collect()
    }
}

impl Index {
    fn union(&self, name: &str, role: &ClusterRole) -> Vec<Rule> {
        let mut rules = Vec::new();
        for (other, member) in &self.cluster_roles {
            let labels = member.labels.iter();
            let labels = labels.map(|(key, value)| (&**key, &**value)).collect();
            if other == name || !role.aggregates.iter().any(|one| one.matches(&labels)) {
                continue;
            }
            for rule in &*member.rules {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        rules
    }
}
