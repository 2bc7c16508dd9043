//! What was answered, as `status` of a PolicyReview.

use osier_policy::{Approval, Decision, Denial, HeaderOperation, Verdict};
use serde_json::{Map, Value as Json, json};

/// The answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Policies have decided.
    Decided(Verdict),
    /// The report was taken; plugins get it within a second.
    Taken,
}

impl Answer {
    /// What was decided; none for a report.
    pub fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Decided(verdict) => Some(verdict),
            Self::Taken => None,
        }
    }

    /// As [`Answer::verdict`], to keep.
    pub fn into_verdict(self) -> Option<Verdict> {
        match self {
            Self::Decided(verdict) => Some(verdict),
            Self::Taken => None,
        }
    }

    /// `status` of a PolicyReview.
    pub fn to_json(&self, request_id: &str) -> Json {
        match self {
            Self::Decided(Verdict::Allow(approval)) => allowed(approval, request_id),
            Self::Decided(Verdict::Deny(denial)) => {
                let mut status = denied(denial);
                status.insert("allowed".into(), false.into());
                status.insert("requestId".into(), request_id.into());
                status.insert("decisions".into(), decisions(&denial.decisions));
                Json::Object(status)
            }
            Self::Taken => json!({"requestId": request_id}),
        }
    }
}

fn allowed(approval: &Approval, request_id: &str) -> Json {
    let mut status = json!({
        "allowed": true,
        "requestId": request_id,
        "decisions": decisions(&approval.decisions),
    });
    let changes = [
        ("requestHeaders", &approval.request_headers),
        ("responseHeaders", &approval.response_headers),
    ];
    for (field, operations) in changes.into_iter().filter(|(_, list)| !list.is_empty()) {
        status[field] = operations.iter().map(operation).collect();
    }
    if !approval.shadow.is_empty() {
        let shadow = approval.shadow.iter().map(denied).map(Json::Object);
        status["shadow"] = shadow.collect();
    }
    status
}

/// What a refusal says of itself.
fn denied(denial: &Denial) -> Map<String, Json> {
    let mut status = Map::new();
    status.insert("code".into(), denial.status.into());
    status.insert("reason".into(), denial.reason.as_str().into());
    status.insert("policy".into(), (*denial.policy).into());
    status.insert("plugin".into(), (*denial.plugin).into());
    if denial.failed {
        status.insert("failed".into(), true.into());
    }
    if !denial.headers.is_empty() {
        let headers = denial.headers.iter().map(|(name, value)| {
            json!({"name": name.as_str(), "value": String::from_utf8_lossy(value.as_bytes())})
        });
        status.insert("headers".into(), headers.collect());
    }
    if !denial.body.is_empty() {
        let body = String::from_utf8_lossy(&denial.body);
        status.insert("body".into(), body.into_owned().into());
    }
    status
}

fn operation(operation: &HeaderOperation) -> Json {
    let (word, name, value) = match operation {
        HeaderOperation::Set(name, value) => ("Set", name, Some(value)),
        HeaderOperation::Append(name, value) => ("Append", name, Some(value)),
        HeaderOperation::Remove(name) => ("Remove", name, None),
    };
    let mut told = json!({"operation": word, "name": name.as_str()});
    if let Some(value) = value {
        told["value"] = String::from_utf8_lossy(value.as_bytes()).into();
    }
    told
}

fn decisions(all: &[Decision]) -> Json {
    all.iter().map(decision).collect()
}

fn decision(decision: &Decision) -> Json {
    let mut told = json!({
        "policy": &*decision.policy,
        "plugin": &*decision.plugin,
        "template": &*decision.template,
        "outcome": decision.outcome.word(),
        "microseconds": u64::try_from(decision.took.as_micros()).unwrap_or(u64::MAX),
    });
    if !decision.reason.is_empty() {
        told["reason"] = decision.reason.as_str().into();
    }
    if decision.cached {
        told["cached"] = true.into();
    }
    if let Some(generated) = &decision.generated {
        let values = generated
            .iter()
            .map(|(name, value)| (name.to_owned(), value.into()));
        told["attributes"] = Json::Object(values.collect());
    }
    told
}
