//! PolicyReview: whoever may create one puts a question to the policies in force on this node.

use super::admission::declared;
use super::reviews::PluginReviews;
use osier_api::{Fault, FaultKind, Object, Status, resources};
use osier_apiserver::{Admit, Admitted, Review};
use osier_policy::{PolicyHost, Vocabulary};
use osier_process::{Boxed, Tasks};
use osier_review::Question;
use serde_json::Value;
use std::sync::Arc;

/// Answers PolicyReviews.
pub(crate) struct PolicyQuestions {
    host: PolicyHost,
    reviews: Arc<PluginReviews>,
    tasks: Tasks,
}

impl PolicyQuestions {
    /// An admission step that asks the policies which `reviews` was joined with.
    pub(crate) fn new(host: PolicyHost, reviews: Arc<PluginReviews>, tasks: Tasks) -> Self {
        Self {
            host,
            reviews,
            tasks,
        }
    }

    async fn answer(&self, review: &Review<'_>, object: &Object) -> Result<Object, Status> {
        let policies = self.reviews.policies().ok_or_else(|| {
            Status::unavailable("the node's policies are not loaded yet; try again")
        })?;
        let manifests = review.objects.list(&resources::ATTRIBUTE_MANIFESTS, "");
        let (host, _) = self.host.knowing(manifests.iter().map(declared));
        let question = read(object, host.vocabulary())?;
        // Plugins may take as long as their deadlines.
        let asking = self.tasks.spawn_blocking("policy review", move || {
            let answer = question.ask(&policies, host.vocabulary());
            answer.to_json(question.request_id())
        });
        let status = asking
            .await
            .map_err(|error| Status::internal(format!("the policies were not asked: {error}")))?;
        let mut answered = object.clone();
        answered.set(&["status"], status);
        Ok(answered)
    }
}

impl Admit for PolicyQuestions {
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>> {
        Box::pin(async move {
            let asked = *review.resource == resources::POLICY_REVIEWS;
            let Some(object) = review.new.filter(|_| asked) else {
                return Ok(Admitted::default());
            };
            Ok(Admitted {
                object: Some(self.answer(review, object).await?),
                warnings: unjoined(object).into_iter().collect(),
            })
        })
    }
}

/// A report is joined to its check by the request's id; one without is a report of nothing that was asked before.
fn unjoined(object: &Object) -> Option<String> {
    let spec = object
        .get(&["spec"])
        .filter(|spec| spec["phase"] == "Report")?;
    let named = stated(spec, "spec.attributes.request.id").is_some();
    (!named).then(|| {
        "spec.attributes.request.id is not stated: this report settles no quota; state the status.requestId that the check was answered with".to_owned()
    })
}

fn read(object: &Object, vocabulary: &Vocabulary) -> Result<Question, Status> {
    let spec = object.get(&["spec"]).unwrap_or(&Value::Null);
    let id = uuid::Uuid::new_v4().to_string();
    Question::read(spec, (object.namespace(), &id), vocabulary).map_err(|faults| {
        let fault = |fault: osier_policy::Fault| Fault {
            value: stated(spec, &fault.field).cloned(),
            field: fault.field,
            kind: FaultKind::Invalid,
            detail: fault.detail,
        };
        let faults: Vec<Fault> = faults.into_iter().map(fault).collect();
        Status::invalid(&resources::POLICY_REVIEWS, object.name(), &faults)
    })
}

/// What a question says at the path of a fault: attributes are written with dotted names, with nested ones, or both.
fn stated<'s>(spec: &'s Value, path: &str) -> Option<&'s Value> {
    let name = path.strip_prefix("spec.")?;
    let Some(name) = name.strip_prefix("attributes.") else {
        return spec.get(name);
    };
    let (mut at, mut rest) = (&spec["attributes"], name);
    loop {
        if let Some(found) = at.get(rest) {
            return Some(found);
        }
        let (first, below) = rest.split_once('.')?;
        (at, rest) = (at.get(first)?, below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_of_nobody_is_told_so() -> Result<(), Box<dyn std::error::Error>> {
        for (spec, told) in [
            (
                json!({"phase": "Report", "attributes": {"gpu.seconds": 1}}),
                true,
            ),
            (json!({"phase": "Report"}), true),
            (
                json!({"phase": "Report", "attributes": {"request": {"id": "a"}}}),
                false,
            ),
            (
                json!({"phase": "Report", "attributes": {"request.id": "a"}}),
                false,
            ),
            (json!({"attributes": {"gpu.seconds": 1}}), false),
        ] {
            let object = Object::from_value(json!({"metadata": {"name": "r"}, "spec": spec}))?;
            assert_eq!(unjoined(&object).is_some(), told, "{spec}");
        }
        Ok(())
    }

    #[test]
    fn what_was_stated_is_found_however_it_was_written() {
        let spec = json!({"direction": "Up", "attributes": {"gpu.seconds": "lots", "request": {"size": "big"}}});
        assert_eq!(
            stated(&spec, "spec.attributes.gpu.seconds"),
            Some(&json!("lots"))
        );
        assert_eq!(
            stated(&spec, "spec.attributes.request.size"),
            Some(&json!("big"))
        );
        assert_eq!(stated(&spec, "spec.direction"), Some(&json!("Up")));
        assert_eq!(stated(&spec, "spec.attributes.request.path"), None);
    }
}
