//! [`Webhook`]: one admission webhook: when it is asked, what, and what its answer means.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_api::{Object, patch};
use serde_json::{Value, json};

use crate::attributes::Attributes;
use crate::matching::Matcher;
use crate::policy::{self, Named};
use crate::target::WebhookTarget;
use crate::verdict::{Facts, hold};

const API_VERSION: &str = "admission.k8s.io/v1";
/// Warnings and annotations of one answer that count.
const MOST: usize = 64;

/// One webhook of a configuration.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its name, with which refusals name it.
    pub name: String,
    /// The configuration that it is of.
    pub configuration: String,
    /// Where it is.
    pub target: WebhookTarget,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether a write is refused where it cannot be asked.
    pub fails: bool,
    /// Whether it is asked again after another one changed the object.
    pub again: bool,
    matcher: Matcher,
    conditions: Vec<Named>,
}

/// A webhook's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Why the write is refused.
    pub refused: Option<Refusal>,
    /// The object as the webhook wants it.
    pub changed: Option<Value>,
    /// Shown to the caller.
    pub warnings: Vec<String>,
    /// For the audit log.
    pub annotations: Vec<(String, String)>,
}

/// The words of a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The status code, 400 at least.
    pub code: u16,
    /// Its reason in one word; empty if none was given.
    pub reason: String,
    /// Why.
    pub message: String,
}

impl Webhook {
    /// The webhooks of a configuration, in their order.
    pub fn all(configuration: &Object) -> Vec<Self> {
        let webhooks = configuration.get(&["webhooks"]).and_then(Value::as_array);
        let one = |said: &Value| {
            Some(Self {
                name: said["name"].as_str()?.to_owned(),
                configuration: configuration.name().to_owned(),
                target: WebhookTarget::read(&said["clientConfig"])?,
                timeout: Duration::from_secs(said["timeoutSeconds"].as_u64().unwrap_or(10).min(30)),
                fails: said["failurePolicy"] != "Ignore",
                again: said["reinvocationPolicy"] == "IfNeeded",
                matcher: Matcher::read(said),
                conditions: policy::conditions(said),
            })
        };
        webhooks.into_iter().flatten().filter_map(one).collect()
    }

    /// The version in which the webhook wants to see a write, if it wants to.
    pub fn wants<'r>(&self, asked: &Attributes<'r>, namespace: Option<&Object>) -> Option<&'r str> {
        self.matcher.matches(asked, namespace)
    }

    /// Whether its conditions hold.
    ///
    /// # Errors
    /// What went wrong in one.
    pub fn holds(&self, facts: Facts<'_>) -> Result<bool, String> {
        hold(&self.conditions, facts)
    }

    /// The question to the webhook: an AdmissionReview.
    pub fn question(&self, asked: &Attributes<'_>, uid: &str, version: &str) -> Value {
        let mut request = asked.request(uid, version);
        request["object"] = asked.object.clone();
        request["oldObject"] = asked.old.clone();
        json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "request": request})
    }

    /// What the webhook's answer says; `object` is what it was asked about, and `changes` whether it may change it.
    ///
    /// # Errors
    /// Why the answer is none.
    pub fn answer(
        &self,
        bytes: &[u8],
        uid: &str,
        (object, changes): (&Value, bool),
    ) -> Result<Answer, String> {
        let review: Value = serde_json::from_slice(bytes)
            .map_err(|error| format!("the answer is no JSON: {error}"))?;
        if review["apiVersion"] != API_VERSION || review["kind"] != "AdmissionReview" {
            let found = format!("{}, Kind={}", review["apiVersion"], review["kind"]);
            return Err(format!(
                "received invalid webhook response: expected webhook response of {API_VERSION}, Kind=AdmissionReview, got {found}"
            ));
        }
        let response = &review["response"];
        if !response.is_object() {
            return Err("webhook response was absent".to_owned());
        }
        if response["uid"] != uid {
            return Err(format!(
                "received invalid webhook response: expected response.uid={uid:?}, got {}",
                response["uid"]
            ));
        }
        let mut answer = Answer {
            warnings: strings(&response["warnings"]),
            annotations: self.annotations(&response["auditAnnotations"]),
            ..Answer::default()
        };
        if response["allowed"] != true {
            answer.refused = Some(self.refusal(&response["status"]));
            return Ok(answer);
        }
        let patched = response["patch"].as_str().filter(|text| !text.is_empty());
        match patched {
            Some(_) if !changes => {
                return Err("a validating webhook may not return a patch".to_owned());
            }
            Some(text) => {
                answer.changed = Some(self.patched(text, &response["patchType"], object)?)
            }
            None => {}
        }
        Ok(answer)
    }

    fn patched(&self, text: &str, kind: &Value, object: &Value) -> Result<Value, String> {
        if *kind != "JSONPatch" {
            return Err(format!(
                "unsupported patch type {kind}: only \"JSONPatch\" is known"
            ));
        }
        let bytes = STANDARD.decode(text);
        let bytes = bytes.map_err(|_| "the patch is not written in base64")?;
        let change = serde_json::from_slice(&bytes)
            .map_err(|error| format!("the patch is no JSON: {error}"))?;
        patch::json(object, &change).map_err(|error| error.to_string())
    }

    fn annotations(&self, said: &Value) -> Vec<(String, String)> {
        let all = said.as_object().into_iter().flatten();
        let own = all.filter_map(|(key, value)| {
            Some((format!("{}/{key}", self.name), value.as_str()?.to_owned()))
        });
        own.take(MOST).collect()
    }

    fn refusal(&self, status: &Value) -> Refusal {
        let text = |field: &str| status[field].as_str().unwrap_or("").to_owned();
        let denied = format!("admission webhook {:?} denied the request", self.name);
        let message = match (text("message"), text("reason")) {
            (message, _) if !message.is_empty() => format!("{denied}: {message}"),
            (_, reason) if !reason.is_empty() => format!("{denied}: {reason}"),
            _ => format!("{denied} without explanation"),
        };
        let code = status["code"]
            .as_u64()
            .and_then(|code| u16::try_from(code).ok());
        Refusal {
            code: code.filter(|code| (400..600).contains(code)).unwrap_or(400),
            reason: text("reason"),
            message,
        }
    }
}

fn strings(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    let texts = all.filter_map(Value::as_str).map(str::to_owned);
    texts.take(MOST).collect()
}
