//! Answers of the hooks that choose: among the destinations of a route, among the endpoints of a service.

use super::super::fixture::{Expect, Given, Wanted};
use super::super::test::SCOPE;
use super::{Asked, after, differs, headers, listed};
use osier_policy::{Candidate, Choice};

/// What was chosen.
pub(in super::super) struct Chosen {
    /// The name of it, or none if it is left to the host; else why there is no answer.
    choice: Result<Option<String>, String>,
    headers: Vec<(String, String)>,
}

/// Asks for a destination: its subset, or its host.
pub(super) fn route(given: &Given, (set, attributes): Asked<'_>) -> Chosen {
    let (candidates, head) = (given.candidates(), given.request.headers());
    let request = given.request.choice();
    let about = (&SCOPE, attributes);
    let choice = set.route(about, (&request, &head), &candidates, &mut Vec::new());
    let on_response = choice.as_ref().ok().and_then(Option::as_ref);
    let headers = on_response.map(|choice| after(&choice.response_headers));
    let name = |choice: Choice| named(candidates.get(choice.candidate));
    let choice = choice.map_err(|denial| denial.reason);
    Chosen {
        choice: choice.map(|choice| choice.map(name)),
        headers: headers.unwrap_or_default(),
    }
}

fn named(candidate: Option<&Candidate<'_>>) -> String {
    candidate.map_or_else(String::new, |one| match one.subset {
        "" => one.host.to_owned(),
        subset => subset.to_owned(),
    })
}

/// Asks for an endpoint: its pod.
pub(super) fn balance(given: &Given, (set, attributes): Asked<'_>) -> Chosen {
    let (endpoints, head) = (given.endpoints(), given.request.headers());
    let request = given.request.choice();
    let about = (&SCOPE, attributes);
    let place = set.balance(about, (&request, &head), &endpoints, &mut Vec::new());
    let name = |place: usize| endpoints.get(place).map_or("", |one| one.pod).to_owned();
    let place = place.map_err(|denial| denial.reason);
    Chosen {
        choice: place.map(|place| place.map(name)),
        headers: Vec::new(),
    }
}

impl Chosen {
    pub(super) fn verdict(&self) -> (Wanted, String) {
        match &self.choice {
            Ok(_) => (Wanted::Allow, String::new()),
            Err(reason) => (Wanted::Fail, reason.clone()),
        }
    }

    pub(super) fn faults(&self, expect: &Expect) -> Vec<String> {
        let choice = self.choice.as_ref().ok();
        let chosen = choice.and_then(|found| differs("chosen", expect.chosen.as_ref(), found));
        let headers = headers("headers", &expect.headers, &self.headers);
        chosen.into_iter().chain(headers).collect()
    }

    pub(super) fn words(&self) -> String {
        let chosen = match &self.choice {
            Ok(Some(name)) => format!(", chosen {name}"),
            Ok(None) => ", left to the host".to_owned(),
            Err(_) => String::new(),
        };
        chosen + &listed("response", &self.headers)
    }
}
