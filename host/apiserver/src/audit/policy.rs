//! Which requests are noted, and how much of them: an audit policy in Kubernetes' form
//! (<https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#audit-policy>). The first rule that a request matches is its
//! rule; one that matches none is not noted.

use http::request::Parts;
use osier_access::User;
use serde::Deserialize;
use serde_json::Value;

use super::verb;
use crate::target::{Address, Target};

/// How much of a request is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) enum Level {
    /// Nothing.
    None,
    /// Who did what to which object, and how it ended.
    Metadata,
    /// And what was sent.
    Request,
    /// And what was answered.
    RequestResponse,
}

/// The rules of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditPolicy {
    api_version: String,
    kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: Value,
    #[serde(default)]
    omit_stages: Vec<String>,
    #[serde(default)]
    omit_managed_fields: bool,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    level: Level,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    user_groups: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    resources: Vec<Resources>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default, rename = "nonResourceURLs")]
    urls: Vec<String>,
    #[serde(default)]
    omit_stages: Vec<String>,
    omit_managed_fields: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resources {
    #[serde(default)]
    group: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

/// What is noted of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) level: Level,
    /// A line too when the request comes in.
    pub(crate) received: bool,
    /// `metadata.managedFields` are left out.
    pub(crate) unmanaged: bool,
}

impl AuditPolicy {
    /// The policy of a file's content.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn from_value(value: Value) -> Result<Self, String> {
        let policy: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if policy.api_version != "audit.k8s.io/v1" || policy.kind != "Policy" {
            return Err("expected apiVersion: audit.k8s.io/v1 and kind: Policy".to_owned());
        }
        if policy.rules.is_empty() {
            return Err("rules: expected at least one, such as level: Metadata".to_owned());
        }
        Ok(policy)
    }

    /// What is noted of a request; nothing for `None`.
    pub(super) fn noted(&self, user: &User, target: &Target, head: &Parts) -> Option<Noted> {
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.matches(user, target, head))?;
        let omitted = |stage: &str| {
            let mut all = self.omit_stages.iter().chain(&rule.omit_stages);
            all.any(|one| one == stage)
        };
        let noted = Noted {
            level: rule.level,
            received: !omitted("RequestReceived"),
            unmanaged: rule.omit_managed_fields.unwrap_or(self.omit_managed_fields),
        };
        (rule.level > Level::None).then_some(noted)
    }
}

impl Rule {
    fn matches(&self, user: &User, target: &Target, head: &Parts) -> bool {
        let verb = verb(target, head);
        let caller = (self.users.is_empty() || self.users.contains(&user.name))
            && (self.user_groups.is_empty()
                || self.user_groups.iter().any(|group| user.is_in(group)))
            && (self.verbs.is_empty() || self.verbs.contains(&verb));
        let about = match target {
            Target::Resource(address) => self.urls.is_empty() && self.covers(address),
            _ => {
                let path = head.uri.path();
                let all = self.resources.is_empty() && self.namespaces.is_empty();
                all && (self.urls.is_empty() || self.urls.iter().any(|url| same(url, path)))
            }
        };
        caller && about
    }

    fn covers(&self, address: &Address) -> bool {
        let here = self.namespaces.is_empty() || self.namespaces.contains(&address.namespace);
        let any = self.resources.is_empty();
        here && (any || self.resources.iter().any(|one| one.cover(address)))
    }
}

impl Resources {
    fn cover(&self, address: &Address) -> bool {
        let (plural, part) = (address.resource.plural, address.subresource.as_str());
        let named = |pattern: &String| match pattern.split_once('/') {
            None => pattern == "*" || part.is_empty() && pattern == plural,
            Some(("*", of)) => of == part,
            Some((of, "*")) => of == plural,
            Some((of, wanted)) => of == plural && wanted == part,
        };
        let names = &self.resource_names;
        self.group == address.resource.group
            && (self.resources.is_empty() || self.resources.iter().any(named))
            && (names.is_empty() || names.contains(&address.name))
    }
}

/// Whether a path is the one of a pattern, which may end in `*`.
fn same(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => path.starts_with(begin),
        None => pattern == path,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use osier_api::resources;
    use serde_json::json;

    use super::*;

    fn policy(rules: Value) -> AuditPolicy {
        let file = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules});
        AuditPolicy::from_value(file).unwrap()
    }

    fn head(method: &str, path: &str) -> Parts {
        let request = http::Request::builder().method(method).uri(path);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let policy = policy(json!([
            {"level": "None", "users": ["system:node:n"]},
            {"level": "None", "nonResourceURLs": ["/healthz*", "/version"]},
            {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "configmaps"]}]},
            {"level": "RequestResponse", "namespaces": ["shop"], "verbs": ["create", "patch"],
                "resources": [{"group": "apps"}, {"group": "", "resources": ["pods/*", "pods"]}]},
            {"level": "Request", "userGroups": ["people"]},
        ]));
        let (ann, node) = (
            User::new("ann", ["people"]),
            User::new("system:node:n", ["x"]),
        );
        let at = |resource, namespace: &str, part: &str| {
            Target::Resource(Address {
                namespace: namespace.to_owned(),
                subresource: part.to_owned(),
                ..Address::of(resource)
            })
        };
        let level = |user: &User, target: &Target, method: &str, path: &str| {
            policy
                .noted(user, target, &head(method, path))
                .map(|noted| noted.level)
        };
        let pods = at(&resources::PODS, "shop", "");
        assert_eq!(level(&node, &pods, "POST", "/"), None);
        assert_eq!(level(&ann, &Target::Health, "GET", "/healthz/etcd"), None);
        assert_eq!(
            level(&ann, &Target::Groups, "GET", "/apis"),
            Some(Level::Request)
        );
        let secrets = at(&resources::SECRETS, "shop", "");
        assert_eq!(level(&ann, &secrets, "GET", "/"), Some(Level::Metadata));
        assert_eq!(
            level(&ann, &pods, "POST", "/"),
            Some(Level::RequestResponse)
        );
        assert_eq!(level(&ann, &pods, "GET", "/"), Some(Level::Request));
        let log = at(&resources::PODS, "shop", "log");
        assert_eq!(level(&ann, &log, "POST", "/"), Some(Level::RequestResponse));
        let other = User::new("bob", ["others"]);
        assert_eq!(
            level(&other, &at(&resources::NODES, "", ""), "GET", "/"),
            None
        );
    }

    #[test]
    fn what_is_no_policy_is_told() {
        let refused = |value: Value| AuditPolicy::from_value(value).unwrap_err();
        assert!(refused(json!({"kind": "Policy"})).contains("apiVersion"));
        let rule = json!([{"level": "Everything"}]);
        let file = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rule});
        assert!(refused(file).contains("Everything"));
        let empty = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": []});
        assert!(refused(empty).contains("at least one"));
    }
}
