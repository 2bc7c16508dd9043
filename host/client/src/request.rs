//! Requests as values: which path and query name which objects. Nothing is sent here.

use std::fmt::Write as _;

use osier_api::{Object, Resource};
use serde_json::{Value, json};

/// What part of an object a request concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The object itself.
    Whole,
    /// Its status only.
    Status,
    /// How many replicas there shall be.
    Scale,
    /// A pod's binding to a node.
    Binding,
    /// A namespace's finalizers.
    Finalize,
    /// The tokens of a service account.
    Token,
}

/// What to list or watch of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// `a=b,c in (d)`.
    pub labels: Option<String>,
    /// `spec.nodeName=a`.
    pub fields: Option<String>,
    /// At most this many objects an answer.
    pub limit: Option<u32>,
    /// Where the previous answer ended.
    pub continues: Option<String>,
}

/// What becomes of the objects that a deleted object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are collected afterwards.
    Background,
    /// They go first.
    Foreground,
    /// They stay, without their owner.
    Orphan,
}

/// How to delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds a pod gets to end; 0 removes it at once.
    pub grace: Option<i64>,
    /// Only this incarnation of the name.
    pub uid: Option<String>,
    /// Only this state of it.
    pub resource_version: Option<u64>,
    /// What happens to what it owns.
    pub propagation: Option<Propagation>,
}

impl DeleteOptions {
    /// Deletes exactly this object, and not another that took its name.
    pub fn exactly(object: &Object) -> Self {
        Self {
            uid: Some(object.uid().to_owned()),
            ..Self::default()
        }
    }

    /// The body of the DELETE request.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        if let Some(seconds) = self.grace {
            body["gracePeriodSeconds"] = seconds.into();
        }
        if let Some(uid) = &self.uid {
            body["preconditions"]["uid"] = uid.as_str().into();
        }
        if let Some(version) = self.resource_version {
            body["preconditions"]["resourceVersion"] = version.to_string().into();
        }
        if let Some(propagation) = self.propagation {
            body["propagationPolicy"] = format!("{propagation:?}").into();
        }
        body
    }
}

/// `/api/v1` or `/apis/GROUP/VERSION`, of the resource's storage version.
fn prefix(resource: &Resource) -> String {
    let version = resource.versions.first().copied().unwrap_or("v1");
    if resource.group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{}/{version}", resource.group)
    }
}

/// The path of a collection; of all namespaces when `namespace` is empty.
pub(crate) fn collection(resource: &Resource, namespace: &str) -> String {
    if resource.namespaced && !namespace.is_empty() {
        format!(
            "{}/namespaces/{namespace}/{}",
            prefix(resource),
            resource.plural
        )
    } else {
        format!("{}/{}", prefix(resource), resource.plural)
    }
}

/// The path of one object or a part of it.
pub(crate) fn single(resource: &Resource, namespace: &str, name: &str, part: Part) -> String {
    let suffix = match part {
        Part::Whole => "",
        Part::Status => "/status",
        Part::Scale => "/scale",
        Part::Binding => "/binding",
        Part::Finalize => "/finalize",
        Part::Token => "/token",
    };
    format!("{}/{name}{suffix}", collection(resource, namespace))
}

impl Query {
    /// Objects by a field selector.
    pub fn by_fields(fields: impl Into<String>) -> Self {
        Self {
            fields: Some(fields.into()),
            ..Self::default()
        }
    }

    /// `path?query`, with `extra` pairs behind the query's own.
    pub(crate) fn apply(&self, path: &str, extra: &[(&str, &str)]) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let own = [
            ("labelSelector", self.labels.as_deref()),
            ("fieldSelector", self.fields.as_deref()),
            ("limit", limit.as_deref()),
            ("continue", self.continues.as_deref()),
        ];
        let own = own
            .iter()
            .filter_map(|(key, value)| value.map(|value| (*key, value)));
        let mut url = path.to_owned();
        for (index, (key, value)) in own.chain(extra.iter().copied()).enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(key);
            url.push('=');
            encode(value, &mut url);
        }
        url
    }
}

/// Percent-encodes a query value (RFC 3986 unreserved bytes stay).
fn encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b',' | b'/') {
            into.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osier_api::resources::{NODES, PLUGINS, PODS};

    #[test]
    fn paths_follow_group_version_and_scope() {
        assert_eq!(collection(&PODS, ""), "/api/v1/pods");
        assert_eq!(
            single(&PODS, "shop", "web", Part::Binding),
            "/api/v1/namespaces/shop/pods/web/binding"
        );
        assert_eq!(
            single(&NODES, "", "a", Part::Status),
            "/api/v1/nodes/a/status"
        );
        assert_eq!(
            collection(&PLUGINS, "shop"),
            "/apis/policy.osier.dev/v1alpha1/namespaces/shop/plugins"
        );
    }

    #[test]
    fn queries_are_encoded() {
        let query = Query {
            labels: Some("app in (a,b)".to_owned()),
            fields: Some("spec.nodeName=a".to_owned()),
            ..Query::default()
        };
        assert_eq!(
            query.apply("/api/v1/pods", &[("watch", "true")]),
            "/api/v1/pods?labelSelector=app%20in%20%28a,b%29&fieldSelector=spec.nodeName%3Da&watch=true"
        );
    }

    #[test]
    fn preconditions_are_in_the_body() {
        let options = DeleteOptions {
            grace: Some(0),
            uid: Some("u".to_owned()),
            resource_version: Some(7),
            propagation: Some(Propagation::Background),
        };
        let body = options.body();
        assert_eq!(
            body["preconditions"],
            json!({"uid": "u", "resourceVersion": "7"})
        );
        assert_eq!(body["propagationPolicy"], "Background");
        assert_eq!(body["gracePeriodSeconds"], 0);
    }
}
