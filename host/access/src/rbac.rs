//! Role based access control: what a rule allows, whom a binding means, what one may hand on.
//!
//! Semantics of `rbac.authorization.k8s.io/v1` (<https://kubernetes.io/docs/reference/access-authn-authz/rbac/>): rules
//! only ever add rights.

use serde::{Deserialize, Serialize};

/// Stands for every verb, group, resource or URL.
const ALL: &str = "*";

/// One entry of a role's `rules`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// `get`, `list`...
    pub verbs: Vec<String>,
    /// Groups of the resources; the core group is the empty text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// `pods`, `pods/log`, `*/scale`...
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Only these objects; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// Paths that are no resources; a last `*` stands for any rest.
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// To a resource.
    Resource {
        /// `get`, `list`...
        verb: &'a str,
        /// Its API group.
        group: &'a str,
        /// Its plural.
        resource: &'a str,
        /// Empty for the object itself.
        subresource: &'a str,
        /// Empty for all namespaces, and for cluster-scoped kinds.
        namespace: &'a str,
        /// Empty for no object in particular.
        name: &'a str,
    },
    /// To another path.
    Url {
        /// The method in lower case.
        verb: &'a str,
        /// The path.
        path: &'a str,
    },
}

impl Action<'_> {
    /// Where it is to be done; empty for the whole cluster.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Resource { namespace, .. } => namespace,
            Self::Url { .. } => "",
        }
    }
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == wanted || item == ALL)
}

impl Rule {
    /// Whether the rule allows it, wherever it is bound.
    pub fn allows(&self, action: &Action<'_>) -> bool {
        match action {
            Action::Resource {
                verb,
                group,
                resource,
                subresource,
                name,
                ..
            } => {
                let named = self.resource_names.is_empty()
                    || self.resource_names.iter().any(|allowed| allowed == name);
                named
                    && has(&self.verbs, verb)
                    && has(&self.api_groups, group)
                    && self.has_resource(resource, subresource)
            }
            Action::Url { verb, path } => has(&self.verbs, verb) && self.has_url(path),
        }
    }

    fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|allowed| {
            if allowed == ALL {
                return true;
            }
            match allowed.split_once('/') {
                None => allowed == resource && subresource.is_empty(),
                Some((main, part)) => {
                    !subresource.is_empty()
                        && part == subresource
                        && (main == resource || main == ALL)
                }
            }
        })
    }

    fn has_url(&self, path: &str) -> bool {
        self.non_resource_urls.iter().any(|allowed| {
            allowed
                .strip_suffix(ALL)
                .map_or(allowed == path, |start| path.starts_with(start))
        })
    }

    /// Every single right in the rule.
    fn rights(&self) -> Vec<Rule> {
        let one = |text: &String| vec![text.clone()];
        let mut all = Vec::new();
        for verb in &self.verbs {
            for url in &self.non_resource_urls {
                all.push(Rule {
                    verbs: one(verb),
                    non_resource_urls: one(url),
                    ..Rule::default()
                });
            }
            for (group, resource) in self
                .api_groups
                .iter()
                .flat_map(|group| self.resources.iter().map(move |resource| (group, resource)))
            {
                let right = Rule {
                    verbs: one(verb),
                    api_groups: one(group),
                    resources: one(resource),
                    ..Rule::default()
                };
                if self.resource_names.is_empty() {
                    all.push(right);
                } else {
                    all.extend(self.resource_names.iter().map(|name| Rule {
                        resource_names: one(name),
                        ..right.clone()
                    }));
                }
            }
        }
        all
    }

    /// Whether this rule gives a single right of another; `*` in the right is given by `*` only.
    fn gives(&self, right: &Rule) -> bool {
        let all = |held: &[String], wanted: &[String]| wanted.iter().all(|item| has(held, item));
        if !all(&self.verbs, &right.verbs) {
            return false;
        }
        if let [url] = right.non_resource_urls.as_slice() {
            return self.non_resource_urls.contains(url)
                || self.has_url(url.trim_end_matches(ALL)) && self.has_url(url);
        }
        let named = self.resource_names.is_empty()
            || (!right.resource_names.is_empty()
                && right
                    .resource_names
                    .iter()
                    .all(|name| self.resource_names.contains(name)));
        let resource = |wanted: &String| {
            let part = wanted.split_once('/').map(|(_, part)| format!("*/{part}"));
            has(&self.resources, wanted) || part.is_some_and(|part| self.resources.contains(&part))
        };
        named && all(&self.api_groups, &right.api_groups) && right.resources.iter().all(resource)
    }
}

/// The single rights in `wanted` that `held` does not give: what one would hand on without having it.
pub fn uncovered(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let rights = wanted.iter().flat_map(Rule::rights);
    rights
        .filter(|right| !held.iter().any(|rule| rule.gives(right)))
        .collect()
}

/// Who is meant by an entry of a binding's `subjects`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subject {
    /// `User`, `Group` or `ServiceAccount`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The namespace of a service account.
    pub namespace: String,
}

/// What the names of users begin with that are service accounts.
pub const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

impl Subject {
    /// Whether a caller is meant; `home` is the namespace of the binding, for service accounts that name none.
    pub fn means(&self, user: &str, groups: &[String], home: &str) -> bool {
        match self.kind.as_str() {
            "User" => self.name == user,
            "Group" => groups.contains(&self.name),
            "ServiceAccount" => {
                let namespace = if self.namespace.is_empty() {
                    home
                } else {
                    &self.namespace
                };
                let account = user
                    .strip_prefix(SERVICE_ACCOUNT_PREFIX)
                    .and_then(|rest| rest.split_once(':'));
                !namespace.is_empty() && account == Some((namespace, self.name.as_str()))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
