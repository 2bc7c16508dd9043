//! The hooks `route` and `balance`: one of several, or nobody's choice.

pub use osier_engine::plugin::hooks::extension::{Candidate, Endpoint, Request};

use http::HeaderMap;
use osier_engine::plugin::hooks::extension as wire;

use super::{Asked, Step, words};
use crate::plugin::Unanswered;
use crate::verdict::HeaderOperation;

/// A chosen destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Place in the list of candidates.
    pub candidate: usize,
    /// Changes to the response.
    pub response_headers: Vec<HeaderOperation>,
}

impl Step {
    /// Asks for a destination; none leaves it to the weights.
    pub(crate) fn route(
        &self,
        request: &Request<'_>,
        headers: &HeaderMap,
        candidates: &[Candidate<'_>],
    ) -> Result<Option<Choice>, Unanswered> {
        let headers = words::texts(headers);
        let (choice,): (Option<wire::Choice>,) = self.asked.ask(|plugin| {
            let function = plugin.hooks().route.ok_or_else(unexported)?;
            plugin.call_typed(function, (*request, headers.as_slice(), candidates), 0)
        })?;
        let Some(choice) = choice else {
            self.asked.count(true);
            return Ok(None);
        };
        let candidate = within(&self.asked, choice.candidate, candidates.len())?;
        let response_headers = choice
            .response_headers
            .into_iter()
            .map(words::header)
            .collect::<Result<_, _>>()
            .map_err(|what| self.asked.misanswered(what))?;
        self.asked.count(true);
        Ok(Some(Choice {
            candidate,
            response_headers,
        }))
    }

    /// Asks for an endpoint; none leaves it to the service's balancer.
    pub(crate) fn balance(
        &self,
        request: &Request<'_>,
        headers: &HeaderMap,
        endpoints: &[Endpoint<'_>],
    ) -> Result<Option<usize>, Unanswered> {
        let headers = words::texts(headers);
        let (place,): (Option<u32>,) = self.asked.ask(|plugin| {
            let function = plugin.hooks().balance.ok_or_else(unexported)?;
            plugin.call_typed(function, (*request, headers.as_slice(), endpoints), 0)
        })?;
        let place = place
            .map(|place| within(&self.asked, place, endpoints.len()))
            .transpose()?;
        self.asked.count(true);
        Ok(place)
    }
}

pub(super) fn unexported() -> Unanswered {
    Unanswered("the plugin does not export this hook".to_owned())
}

fn within(asked: &Asked, place: u32, count: usize) -> Result<usize, Unanswered> {
    let place = place as usize;
    if place < count {
        Ok(place)
    } else {
        Err(asked.misanswered(format!("place {place} is not one of {count}")))
    }
}
