//! [`Status`]: the answer to a request that failed, in Kubernetes' exact words, since clients match on them.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fault::Fault;
use crate::object::Object;
use crate::resource::Resource;

/// A meta/v1 Status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(default)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Machine word: `NotFound`, `Conflict`...; kubectl prints it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What it is about. Boxed, since most results carry no Status at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<Details>>,
}

/// What a Status is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Details {
    /// Name of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Group of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Plural resource name, or the kind for `Invalid`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Uid of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// One entry per fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// After how many seconds a retry makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// One fault behind a Status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// `FieldValueRequired`...
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Dotted path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

impl Status {
    /// A status of no particular object.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            details: None,
        }
    }

    /// Success of a deletion.
    pub fn deleted(resource: &Resource, name: &str, uid: &str) -> Self {
        let details = Details {
            uid: uid.to_owned(),
            ..about(resource, name)
        };
        Self {
            code: 200,
            details: Some(Box::new(details)),
            ..Self::default()
        }
    }

    /// 404: the object is not there.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(404, "NotFound", message).on(about(resource, name))
    }

    /// 404: nothing is served at this path.
    pub fn no_such_resource() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
        .on(Details::default())
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).on(about(resource, name))
    }

    /// 409: somebody changed the object since it was read.
    pub fn conflict(resource: &Resource, name: &str) -> Self {
        let detail = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict_because(resource, name, detail)
    }

    /// 409 for another reason, such as a precondition.
    pub fn conflict_because(resource: &Resource, name: &str, detail: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {detail}",
            resource.qualified()
        );
        Self::new(409, "Conflict", message).on(about(resource, name))
    }

    /// 409: an apply would change what others own; each cause is a message and the field.
    pub fn apply_conflict(message: &str, causes: impl Iterator<Item = (String, String)>) -> Self {
        let causes = causes.map(|(message, field)| Cause {
            reason: "FieldManagerConflict".to_owned(),
            message,
            field,
        });
        let details = Details {
            causes: causes.collect(),
            ..Details::default()
        };
        Self::new(409, "Conflict", message).on(details)
    }

    /// 422: the object breaks rules; every fault is listed.
    pub fn invalid(resource: &Resource, name: &str, faults: &[Fault]) -> Self {
        let message = format!(
            "{} {name:?} is invalid: {}",
            resource.qualified_kind(),
            aggregate(faults)
        );
        let causes = faults.iter().map(Cause::from).collect();
        let details = Details {
            kind: resource.kind.to_owned(),
            causes,
            ..about(resource, name)
        };
        Self::new(422, "Invalid", message).on(details)
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 400: a body with fields that the schema does not know, under `fieldValidation=Strict`.
    pub fn strict_decoding(resource: &Resource, version: &str, faults: &[Fault]) -> Self {
        let unknown: Vec<String> = faults.iter().map(strict_words).collect();
        let kind = resource.kind;
        let head = format!("{kind} in version {version:?} cannot be handled as a {kind}");
        Self::bad_request(format!(
            "{head}: strict decoding error: {}",
            unknown.join(", ")
        ))
    }

    /// 400: a body whose values have other types than the schema says, in any mode.
    pub fn undecodable(resource: &Resource, version: &str, faults: &[Fault]) -> Self {
        let kind = resource.kind;
        let head = format!("{kind} in version {version:?} cannot be handled as a {kind}");
        let details = Details {
            causes: faults.iter().map(Cause::from).collect(),
            ..Details::default()
        };
        Self::bad_request(format!("{head}: {}", aggregate(faults))).on(details)
    }

    /// 401: nobody knows who asks.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403: `detail` says why. An empty name speaks of the whole resource.
    pub fn forbidden(resource: &Resource, name: &str, detail: &str) -> Self {
        let quoted = if name.is_empty() {
            String::new()
        } else {
            format!(" {name:?}")
        };
        let message = format!("{}{quoted} is forbidden: {detail}", resource.qualified());
        Self::new(403, "Forbidden", message).on(about(resource, name))
    }

    /// 410: a watch or list asks for a revision that was compacted.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 410: a watch asks for a revision older than `oldest`.
    pub fn too_old(asked: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// 410: something that was served once is gone for good.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(410, "Gone", message)
    }

    /// 405: the verb is not served on this resource.
    pub fn method_not_allowed(resource: &Resource, verb: &str) -> Self {
        let message = format!(
            "{verb} is not supported on resources of kind {:?}",
            resource.qualified()
        );
        Self::new(405, "MethodNotAllowed", message).on(about(resource, ""))
    }

    /// 406: the client accepts nothing that the server can write.
    pub fn not_acceptable(served: &[&str]) -> Self {
        let message = format!(
            "only the following media types are accepted: {}",
            served.join(", ")
        );
        Self::new(406, "NotAcceptable", message)
    }

    /// 415: the server cannot read the body.
    pub fn unsupported_media_type(read: &[&str]) -> Self {
        let accepted = read.join(", ");
        let head =
            "the body of the request was in an unknown format - accepted media types include";
        Self::new(415, "UnsupportedMediaType", format!("{head}: {accepted}"))
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: u64) -> Self {
        Self::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}"),
        )
    }

    /// 429: come back in `seconds`.
    pub fn too_many_requests(message: impl Into<String>, seconds: u32) -> Self {
        let details = Details {
            retry_after_seconds: Some(seconds),
            ..Details::default()
        };
        Self::new(429, "TooManyRequests", message).on(details)
    }

    /// 500: a fault of the server.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        let cause = Cause {
            message: error.to_string(),
            ..Cause::default()
        };
        let details = Details {
            causes: vec![cause],
            ..Details::default()
        };
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {error}"),
        )
        .on(details)
    }

    /// 500 with retry: an operation did not finish now but may later.
    pub fn server_timeout(resource: &Resource, verb: &str, seconds: u32) -> Self {
        let what = resource.qualified();
        let message = format!(
            "The {verb} operation against {what} could not be completed at this time, please try again."
        );
        let details = Details {
            retry_after_seconds: Some(seconds),
            ..about(resource, verb)
        };
        Self::new(500, "ServerTimeout", message).on(details)
    }

    /// 503: the server is starting or stopping.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// Puts details.
    pub fn on(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// Whether `reason` is this one.
    pub fn is(&self, reason: &str) -> bool {
        self.reason == reason
    }

    /// The JSON object that goes over the wire.
    pub fn to_object(&self) -> Object {
        let success = self.code < 400;
        let mut object = Object::default();
        object.set(&["kind"], json!("Status"));
        object.set(&["apiVersion"], json!("v1"));
        object.set(&["metadata"], json!({}));
        object.set(
            &["status"],
            json!(if success { "Success" } else { "Failure" }),
        );
        if !self.message.is_empty() {
            object.set(&["message"], json!(self.message));
        }
        if !self.reason.is_empty() {
            object.set(&["reason"], json!(self.reason));
        }
        if let Some(details) = &self.details {
            object.set(&["details"], json!(details));
        }
        if self.code != 200 {
            object.set(&["code"], json!(self.code));
        }
        object
    }

    /// Reads a Status from the wire; `None` if the object is of another kind.
    pub fn from_object(object: &Object) -> Option<Self> {
        if object.kind() != "Status" {
            return None;
        }
        let mut status = Self::deserialize(&object.to_value()).ok()?;
        if status.code == 0 {
            status.code = if object.text(&["status"]) == "Success" {
                200
            } else {
                500
            };
        }
        Some(status)
    }
}

impl From<&Fault> for Cause {
    fn from(fault: &Fault) -> Self {
        Self {
            reason: fault.reason().to_owned(),
            message: fault.message(),
            field: fault.field.clone(),
        }
    }
}

fn about(resource: &Resource, name: &str) -> Details {
    Details {
        name: name.to_owned(),
        group: resource.group.to_owned(),
        kind: resource.plural.to_owned(),
        ..Details::default()
    }
}

/// One fault stands alone, several in brackets; the same words only once.
fn aggregate(faults: &[Fault]) -> String {
    let mut words: Vec<String> = Vec::new();
    for fault in faults {
        let text = fault.to_string();
        if !words.contains(&text) {
            words.push(text);
        }
    }
    match words.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", words.join(", ")),
    }
}

fn strict_words(fault: &Fault) -> String {
    match fault.kind {
        crate::FaultKind::Unknown => format!("unknown field {:?}", fault.field),
        crate::FaultKind::Duplicate => format!("duplicate field {:?}", fault.field),
        _ => fault.to_string(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::resources::{PODS, VIRTUAL_SERVICES};
    use crate::{FaultKind, Object};

    #[test]
    fn messages_are_kubernetes_own() {
        let faults = [
            Fault::required("spec.containers", ""),
            Fault::duplicate("spec.x[1]", "a"),
        ];
        let cases = [
            (Status::not_found(&PODS, "a"), "pods \"a\" not found"),
            (
                Status::already_exists(&VIRTUAL_SERVICES, "a"),
                "virtualservices.networking.istio.io \"a\" already exists",
            ),
            (
                Status::conflict(&PODS, "a"),
                "Operation cannot be fulfilled on pods \"a\": the object has been modified; please apply your changes to the latest version and try again",
            ),
            (
                Status::invalid(&PODS, "a", &faults[..1]),
                "Pod \"a\" is invalid: spec.containers: Required value",
            ),
            (
                Status::invalid(&PODS, "a", &faults),
                "Pod \"a\" is invalid: [spec.containers: Required value, spec.x[1]: Duplicate value: \"a\"]",
            ),
            (Status::too_old(3, 9), "too old resource version: 3 (9)"),
            (
                Status::strict_decoding(
                    &PODS,
                    "v1",
                    &[Fault::new(FaultKind::Unknown, "spec.foo", "")],
                ),
                "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.foo\"",
            ),
        ];
        for (status, words) in cases {
            assert_eq!(status.message, words);
        }
    }

    #[test]
    fn goes_over_the_wire_and_back() {
        let status = Status::invalid(&PODS, "a", &[Fault::required("spec.containers", "")]);
        let object = status.to_object();
        assert_eq!(
            object.get(&["details", "causes"]).unwrap()[0]["field"],
            "spec.containers"
        );
        assert_eq!(Status::from_object(&object), Some(status));
        let success = Status::deleted(&PODS, "a", "u").to_object();
        assert_eq!(
            (success.text(&["status"]), success.get(&["code"])),
            ("Success", None)
        );
        assert_eq!(Status::from_object(&success).unwrap().code, 200);
        assert_eq!(Status::from_object(&Object::default()), None);
    }
}
