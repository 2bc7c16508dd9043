//! The hooks `route`, `balance`, `admit` and `schedule`, one plugin each.

use osier_plugin::extension::{
    Admit, Balance, Candidate, Choice, Endpoint, Node, Opinion, Pod, Request, Review, Route,
    Schedule, Verdict, WriteOperation,
};
use osier_plugin::filter::Headers;
use osier_plugin::serde_json::{Value, from_str, json};

use crate::Examples;

/// A header names the subset, and a cookie remembers it.
impl Route for Examples {
    fn choose(&self, _: &Request, headers: Headers<'_>, all: &[Candidate]) -> Option<Choice> {
        let wanted = headers.get("x-variant")?;
        let place = all.iter().position(|one| one.subset == wanted)?;
        Some(Choice::of(place).response_header("set-cookie", format!("variant={wanted}")))
    }
}

/// The endpoint that works on the fewest requests.
impl Balance for Examples {
    fn pick(&self, _: &Request, _: Headers<'_>, endpoints: &[Endpoint]) -> Option<usize> {
        let all = endpoints.iter().enumerate();
        let fewest = all.min_by_key(|(_, endpoint)| endpoint.in_flight);
        fewest.map(|(place, _)| place)
    }
}

/// Objects have an owner; who writes is it where none is named.
impl Admit for Examples {
    fn review(&self, review: &Review) -> Verdict {
        let object: Value = from_str(&review.object).unwrap_or_default();
        let Some(labels) = object["metadata"]["labels"].as_object() else {
            return Verdict::Allow;
        };
        let owner = labels.get("owner").and_then(Value::as_str);
        match owner {
            _ if review.operation == WriteOperation::Delete => Verdict::Allow,
            Some(owner) if self.0.reserved.iter().any(|name| name == owner) => Verdict::Deny {
                reason: format!("{owner} owns nothing"),
                field: "metadata.labels.owner".to_owned(),
            },
            Some(_) => Verdict::Allow,
            None => {
                let path = "/metadata/labels/owner";
                let patch = json!([{"op": "add", "path": path, "value": review.user}]);
                Verdict::Patch(patch.to_string())
            }
        }
    }
}

/// Where the fewest pods are, and never two of a kind.
impl Schedule for Examples {
    fn score(&self, _: &Pod, nodes: &[Node]) -> Vec<Opinion> {
        let opinion = |node: &Node| match node.siblings {
            0 => Opinion::Score(100_u32.saturating_sub(node.pods)),
            _ => Opinion::Infeasible("there is one of its kind".to_owned()),
        };
        nodes.iter().map(opinion).collect()
    }
}
