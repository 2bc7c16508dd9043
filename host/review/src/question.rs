//! What is asked, about whom, and what is stated.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_policy::{Attributes, Direction, Fault, PolicySet, Scope, Texts, Vocabulary};
use serde_json::Value as Json;

use crate::answer::Answer;
use crate::recorded::Recorded;

/// Whether something is about to happen or has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// May it? Quotas are charged.
    Check,
    /// It is over: quotas are settled, reports are told.
    Report,
}

/// A question to the policies in force.
#[derive(Clone, Debug)]
pub struct Question {
    phase: Phase,
    direction: Direction,
    namespace: String,
    service: Option<String>,
    gateways: Vec<Arc<str>>,
    labels: BTreeMap<String, String>,
    recorded: Recorded,
}

impl Question {
    /// Reads `spec` of a PolicyReview. What is not stated and follows from the rest is filled in: the namespace, the service and the labels of
    /// the side that asks, and the request's id (`id`), by which quotas are charged once and settled.
    ///
    /// # Errors
    /// Every wrong field at once.
    pub fn read(
        spec: &Json,
        (namespace, id): (&str, &str),
        vocabulary: &Vocabulary,
    ) -> Result<Self, Vec<Fault>> {
        let text = |field: &str| spec[field].as_str().filter(|text| !text.is_empty());
        let (service, gateway) = (text("service"), text("gateway"));
        let mut faults = Vec::new();
        if gateway.is_some() && text("direction") == Some("Inbound") {
            let detail = "a gateway is asked about before a destination is chosen: Outbound";
            faults.push(Fault::new("spec.direction", detail));
        }
        let outbound = gateway.is_some() || text("direction") == Some("Outbound");
        let read = Recorded::read(&spec["attributes"], "spec.attributes", vocabulary);
        let recorded = match read {
            Ok(recorded) if faults.is_empty() => recorded,
            Ok(_) => return Err(faults),
            Err(more) => {
                faults.extend(more);
                return Err(faults);
            }
        };
        let mut question = Self {
            phase: match text("phase") {
                Some("Report") => Phase::Report,
                _ => Phase::Check,
            },
            direction: if outbound {
                Direction::Outbound
            } else {
                Direction::Inbound
            },
            namespace: namespace.to_owned(),
            service: service.map(str::to_owned),
            gateways: gateway
                .map(|name| format!("{namespace}/{name}").into())
                .into_iter()
                .collect(),
            labels: labels(&spec["labels"]),
            recorded,
        };
        question.complete(id);
        Ok(question)
    }

    /// A question about a request that another proxy carries, whose attributes it states.
    pub fn about(
        direction: Direction,
        (namespace, service): (&str, Option<&str>),
        phase: Phase,
        recorded: Recorded,
    ) -> Self {
        let mut question = Self {
            phase,
            direction,
            namespace: namespace.to_owned(),
            service: service.map(str::to_owned),
            gateways: Vec::new(),
            labels: BTreeMap::new(),
            recorded,
        };
        question.complete("");
        question
    }

    fn complete(&mut self, id: &str) {
        let (side, kind) = match self.direction {
            Direction::Inbound => ("destination", "inbound"),
            Direction::Outbound => ("source", "outbound"),
        };
        let recorded = &mut self.recorded;
        recorded.or_text("request.id", id);
        recorded.or_text("context.reporter.kind", kind);
        recorded.or_text(&format!("{side}.namespace"), &self.namespace);
        if !self.labels.is_empty() {
            recorded.or_texts(&format!("{side}.labels"), &self.labels);
        }
        if let Some(service) = &self.service {
            recorded.or_text("destination.service.name", service);
            recorded.or_text("destination.service.namespace", &self.namespace);
        }
    }

    /// Whose side is asked.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// What is stated, but for attributes of manifests.
    pub fn attributes(&self) -> Attributes<'_> {
        self.recorded.attributes()
    }

    /// A text as it was stated; empty if it was not.
    pub fn text(&self, name: &str) -> &str {
        self.recorded.text(name).unwrap_or_default()
    }

    /// The id that quotas are charged and settled by.
    pub fn request_id(&self) -> &str {
        self.recorded.text("request.id").unwrap_or_default()
    }

    /// Asks. Plugins run on this thread, each within its deadline.
    pub fn ask(&self, policies: &PolicySet, vocabulary: &Vocabulary) -> Answer {
        let extra = self.recorded.extra(vocabulary);
        let attributes = Attributes {
            extra: &extra,
            ..self.recorded.attributes()
        };
        let scope = self.scope();
        match self.phase {
            Phase::Check => Answer::Decided(policies.check(&scope, &attributes)),
            Phase::Report => {
                policies.report(&scope, &attributes);
                Answer::Taken
            }
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            direction: self.direction,
            namespace: &self.namespace,
            service: self.service.as_deref(),
            gateway: None,
            gateways: &self.gateways,
            labels: Texts::Tree(&self.labels),
            generated: None,
        }
    }
}

fn labels(given: &Json) -> BTreeMap<String, String> {
    let pairs = given.as_object().into_iter().flatten();
    pairs
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn read(spec: &Json) -> Result<Question, Vec<Fault>> {
        Question::read(spec, ("ml", "r1"), &Vocabulary::default())
    }

    #[test]
    fn what_follows_is_filled_in_and_what_is_stated_stays() {
        let spec = json!({"service": "trainer", "labels": {"team": "a"},
            "attributes": {"destination": {"namespace": "elsewhere"}}});
        let question = read(&spec).unwrap();
        let attributes = question.recorded.attributes();
        assert_eq!(question.request_id(), "r1");
        assert_eq!(attributes.destination.service_name, Some("trainer"));
        assert_eq!(attributes.destination.peer.namespace, Some("elsewhere"));
        assert_eq!(
            attributes.destination.peer.labels.find("team").as_deref(),
            Some("a")
        );
        let scope = question.scope();
        assert_eq!((scope.namespace, scope.service), ("ml", Some("trainer")));
    }

    #[test]
    fn a_gateway_is_asked_about_on_the_callers_side() {
        let question = read(&json!({"gateway": "edge", "attributes": {}})).unwrap();
        assert_eq!(question.scope().direction, Direction::Outbound);
        assert_eq!(&*question.scope().gateways[0], "ml/edge");
        let faults =
            read(&json!({"gateway": "edge", "direction": "Inbound", "attributes": {"no.such": 1}}));
        assert_eq!(faults.unwrap_err().len(), 2);
    }

    #[test]
    fn nothing_in_force_lets_everything_pass() {
        let question = read(&json!({})).unwrap();
        let answer = question.ask(
            &PolicySet::new(Vec::new(), "osier-system"),
            &Vocabulary::default(),
        );
        assert_eq!(answer.to_json("r1")["allowed"], true);
        let question = read(&json!({"phase": "Report"})).unwrap();
        let answer = question.ask(
            &PolicySet::new(Vec::new(), "osier-system"),
            &Vocabulary::default(),
        );
        assert_eq!(answer.to_json("r1"), json!({"requestId": "r1"}));
    }
}
