//! [`Attributes`]: a write as policies and webhooks see it, an AdmissionRequest.

use osier_api::Resource;
use serde_json::{Value, json};

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Create,
    /// It changes.
    Update,
    /// It is to go.
    Delete,
}

impl Operation {
    /// As rules name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }

    fn options(self) -> &'static str {
        match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Delete => "DeleteOptions",
        }
    }
}

/// One write.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    /// The kind of the object.
    pub resource: &'static Resource,
    /// The version that the caller speaks.
    pub version: &'a str,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// What is done.
    pub operation: Operation,
    /// Empty for what lives in no namespace.
    pub namespace: &'a str,
    /// Empty where it is still to be generated.
    pub name: &'a str,
    /// An `authentication.k8s.io/v1` UserInfo.
    pub user: &'a Value,
    /// Nothing will be stored.
    pub dry_run: bool,
    /// The object as it would be stored; null for a delete.
    pub object: &'a Value,
    /// The object as it is stored; null for a create.
    pub old: &'a Value,
}

impl Attributes<'_> {
    /// The request without its objects, as rules see it by the name `request`; `version` is the one in which it is judged.
    pub fn request(&self, uid: &str, version: &str) -> Value {
        let group = self.resource.group;
        let kind =
            |version: &str| json!({"group": group, "version": version, "kind": self.resource.kind});
        let resource = |version: &str| json!({"group": group, "version": version, "resource": self.resource.plural});
        let mut options = json!({"kind": self.operation.options(), "apiVersion": "meta.k8s.io/v1"});
        if self.dry_run {
            options["dryRun"] = json!(["All"]);
        }
        let mut request = json!({
            "uid": uid,
            "kind": kind(version), "resource": resource(version),
            "requestKind": kind(self.version), "requestResource": resource(self.version),
            "name": self.name, "namespace": self.namespace, "operation": self.operation.as_str(),
            "userInfo": self.user, "dryRun": self.dry_run, "options": options,
        });
        if !self.subresource.is_empty() {
            request["subResource"] = json!(self.subresource);
            request["requestSubResource"] = json!(self.subresource);
        }
        request
    }
}
