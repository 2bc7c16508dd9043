//! Routing: what a path means.

use std::sync::Arc;

use http::Uri;
use osier_api::managed::Form;
use osier_api::{Resource, resources};
use osier_custom::{Conversion, Version};

/// What a request is about, by its path alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// `/`: every path that is no object.
    Root,
    /// `/healthz`, `/livez`, `/readyz`, and their single checks.
    Health,
    /// `/metrics`: what the process counts.
    Metrics,
    Version,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` and `/apis/GROUP/VERSION`.
    GroupVersion(String, String),
    /// `/.well-known/openid-configuration`: who signs the tokens of service accounts.
    OpenIdConfiguration,
    /// `/openid/v1/jwks`: the keys with which anybody can check them.
    OpenIdKeys,
    OpenApiV2,
    /// The index of OpenAPI documents.
    OpenApiV3,
    /// The OpenAPI document of `api/v1` or `apis/GROUP/VERSION`.
    OpenApiV3Document(String),
    /// `/api/v1/nodes/NODE/proxy/decisions/REQUEST-ID`: what the node's data plane decided about a request.
    Decisions {
        node: String,
        request_id: String,
    },
    /// `/osier/v1/images`: the bytes of an image, for nodes that lack it.
    Images,
    /// `/osier/v1/backup`: all that is stored, as it stands at one revision.
    Backup,
    Resource(Address),
    Unknown,
}

/// A collection, an object, or a part of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Address {
    pub(crate) resource: &'static Resource,
    /// What its definition says of the kind, if a user defined it.
    pub(crate) custom: Option<Arc<Version>>,
    /// The version that the caller speaks.
    pub(crate) version: String,
    /// Empty for all namespaces, and for resources without one.
    pub(crate) namespace: String,
    /// Empty for the collection.
    pub(crate) name: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
}

/// A kind as a path names it.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) resource: &'static Resource,
    /// The version of it, if a user defined the kind.
    pub(crate) custom: Option<Arc<Version>>,
}

/// Finds the kind of a group, a version and a plural name.
pub(crate) type Find<'a> = &'a dyn Fn(&str, &str, &str) -> Option<Served>;

impl Address {
    /// All objects of a kind of ours, in the version that is stored.
    pub(crate) fn of(resource: &'static Resource) -> Self {
        Self {
            resource,
            custom: None,
            version: resource.storage_version().to_owned(),
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
        }
    }

    /// `apiVersion` of the stored objects.
    pub(crate) fn storage_api_version(&self) -> String {
        let custom = self.custom.as_ref();
        custom.map_or_else(
            || self.stored().storage_api_version(),
            |custom| custom.storage_api_version.clone(),
        )
    }

    /// `apiVersion` in which objects are read, changed and judged: the stored one, unless versions differ in their fields.
    pub(crate) fn working_api_version(&self) -> String {
        match self.conversion() {
            Some(_) => self.api_version(),
            None => self.storage_api_version(),
        }
    }

    /// Who makes one version of the kind's objects of another, if they differ in more than their names.
    pub(crate) fn conversion(&self) -> Option<&Conversion> {
        self.custom.as_ref()?.conversion.as_ref()
    }

    /// The kind of the stored objects.
    pub(crate) fn stored(&self) -> &'static Resource {
        resources::stored_as(self.resource)
    }

    /// The kind of the stored objects with its schema.
    pub(crate) fn form(&self) -> Form<'_> {
        Form {
            resource: self.stored(),
            document: self.custom.as_ref().map(|custom| &custom.document),
            differs: self.conversion().is_some(),
        }
    }

    /// Fields to select by that the definition of the kind adds.
    pub(crate) fn selectable(&self) -> &[String] {
        let custom = self.custom.as_ref();
        custom.map_or(&[], |custom| custom.selectable.as_slice())
    }

    /// `apps/v1`, or `v1` in the core group.
    pub(crate) fn api_version(&self) -> String {
        self.resource.api_version(&self.version)
    }
}

/// Reads a request's path.
pub(crate) fn parse(path: &str, find: Find<'_>) -> Target {
    let decoded: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(osier_kubelet::unescaped)
        .collect();
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [] => Target::Root,
        ["healthz" | "livez" | "readyz", ..] => Target::Health,
        ["metrics"] => Target::Metrics,
        ["version"] => Target::Version,
        ["api"] => Target::CoreVersions,
        ["apis"] => Target::Groups,
        ["apis", group] => Target::Group((*group).to_owned()),
        ["api", version] => Target::GroupVersion(String::new(), (*version).to_owned()),
        ["apis", group, version] => {
            Target::GroupVersion((*group).to_owned(), (*version).to_owned())
        }
        ["osier", "v1", "images"] => Target::Images,
        ["osier", "v1", "backup"] => Target::Backup,
        [".well-known", "openid-configuration"] => Target::OpenIdConfiguration,
        ["openid", "v1", "jwks"] => Target::OpenIdKeys,
        ["openapi", "v2"] => Target::OpenApiV2,
        ["openapi", "v3"] => Target::OpenApiV3,
        ["openapi", "v3", rest @ ..] => Target::OpenApiV3Document(rest.join("/")),
        ["api", "v1", "nodes", node, "proxy", "decisions", request_id] => Target::Decisions {
            node: (*node).to_owned(),
            request_id: (*request_id).to_owned(),
        },
        ["api", version, rest @ ..] => address(("", version), rest, find),
        ["apis", group, version, rest @ ..] => address((group, version), rest, find),
        _ => Target::Unknown,
    }
}

/// What a path such as `/api/v1/watch/pods` is called since `watch` is a parameter: clients of that age still have the old one.
pub(crate) fn watched(uri: &Uri) -> Option<Uri> {
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let root = match parts.as_slice() {
        ["api", _, "watch", _, ..] => 2,
        ["apis", _, _, "watch", _, ..] => 3,
        _ => return None,
    };
    let (before, after) = (
        parts.get(..root)?.join("/"),
        parts.get(root + 1..)?.join("/"),
    );
    let query = uri
        .query()
        .map(|query| format!("{query}&"))
        .unwrap_or_default();
    let path = format!("/{before}/{after}?{query}watch=true");
    Uri::builder().path_and_query(path).build().ok()
}

/// `namespaces/N` is an object; `namespaces/N/status` and `namespaces/N/finalize` are parts of it; any longer path is
/// about what is in the namespace.
fn address((group, version): (&str, &str), parts: &[&str], find: Find<'_>) -> Target {
    let (namespace, parts) = match parts {
        ["namespaces", _, "status" | "finalize"] => ("", parts),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        _ => ("", parts),
    };
    let (plural, name, subresource) = match parts {
        [plural] => (*plural, "", ""),
        [plural, name] => (*plural, *name, ""),
        [plural, name, subresource] => (*plural, *name, *subresource),
        _ => return Target::Unknown,
    };
    let Some(Served { resource, custom }) = find(group, version, plural) else {
        return Target::Unknown;
    };
    // A namespaced object is only ever addressed through its namespace, and another one never.
    let misplaced = if resource.namespaced {
        !name.is_empty() && namespace.is_empty()
    } else {
        !namespace.is_empty()
    };
    if misplaced {
        return Target::Unknown;
    }
    Target::Resource(Address {
        resource,
        custom,
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, reason = "tests")]
    use super::*;

    fn parse(path: &str) -> Target {
        super::parse(path, &|group, version, plural| {
            let resource = resources::by_plural(group, version, plural)?;
            Some(Served {
                resource,
                custom: None,
            })
        })
    }

    fn resource(path: &str) -> Address {
        match parse(path) {
            Target::Resource(address) => address,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn a_namespace_is_an_object_and_a_place() {
        let namespace = resource("/api/v1/namespaces/blue");
        assert_eq!(
            (namespace.resource.plural, namespace.name.as_str()),
            ("namespaces", "blue")
        );
        let part = resource("/api/v1/namespaces/blue/finalize");
        assert_eq!(
            (part.resource.plural, part.subresource.as_str()),
            ("namespaces", "finalize")
        );
        let pods = resource("/api/v1/namespaces/blue/pods");
        assert_eq!(
            (
                pods.resource.plural,
                pods.namespace.as_str(),
                pods.name.as_str()
            ),
            ("pods", "blue", "")
        );
    }

    #[test]
    fn every_depth_of_a_namespaced_resource() {
        let all = resource("/api/v1/pods");
        assert_eq!((all.namespace.as_str(), all.name.as_str()), ("", ""));
        let log = resource("/api/v1/namespaces/blue/pods/a%2Db/log");
        assert_eq!(
            (log.name.as_str(), log.subresource.as_str()),
            ("a-b", "log")
        );
        assert_eq!(
            resource("/apis/coordination.k8s.io/v1/leases").api_version(),
            "coordination.k8s.io/v1"
        );
    }

    #[test]
    fn a_resource_in_the_wrong_place_is_unknown() {
        assert_eq!(parse("/api/v1/pods/x"), Target::Unknown);
        assert_eq!(parse("/api/v1/namespaces/blue/nodes"), Target::Unknown);
        assert_eq!(parse("/api/v1/things"), Target::Unknown);
        assert_eq!(parse("/api/v2/pods"), Target::Unknown);
    }

    #[test]
    fn a_path_that_watches_is_one_with_a_parameter() {
        let now = |path: &'static str| watched(&Uri::from_static(path)).map(|uri| uri.to_string());
        assert_eq!(
            now("/api/v1/watch/namespaces/blue/pods?labelSelector=a").as_deref(),
            Some("/api/v1/namespaces/blue/pods?labelSelector=a&watch=true")
        );
        assert_eq!(
            now("/apis/apps/v1/watch/deployments").as_deref(),
            Some("/apis/apps/v1/deployments?watch=true")
        );
        assert_eq!(now("/apis/stable.example.com/v1/watch"), None);
        assert_eq!(now("/api/v1/namespaces/watch/pods"), None);
    }

    #[test]
    fn other_documents() {
        assert_eq!(parse("/"), Target::Root);
        assert_eq!(parse("/version/"), Target::Version);
        assert_eq!(parse("/readyz/store"), Target::Health);
        assert_eq!(
            parse("/openapi/v3/apis/apps/v1"),
            Target::OpenApiV3Document("apis/apps/v1".into())
        );
    }
}
