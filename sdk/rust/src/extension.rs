//! The hooks `route`, `balance`, `admit` and `schedule`: one trait each.

use crate::bindings::admitter::exports::osier::extension::admit as admit_wit;
use crate::bindings::host::osier::policy::types::HeaderOperation;
use crate::bindings::router::exports::osier::extension::route as route_wit;
use crate::decision::header;
use crate::filter::Headers;
use crate::template::Plugin;

pub use crate::bindings::admitter::exports::osier::extension::admit::{
    Operation as WriteOperation, Review,
};
pub use crate::bindings::balancer::exports::osier::extension::balance::Endpoint;
pub use crate::bindings::extensions::osier::extension::types::Request;
pub use crate::bindings::router::exports::osier::extension::route::Candidate;
pub use crate::bindings::scheduler::exports::osier::extension::schedule::{
    Candidate as Node, Opinion, Pod,
};

/// The choice of a destination.
#[derive(Clone, Debug)]
pub struct Choice(route_wit::Choice);

impl Choice {
    /// The destination at this place in the list.
    #[must_use]
    pub fn of(candidate: usize) -> Self {
        Self(route_wit::Choice {
            candidate: u32::try_from(candidate).unwrap_or(u32::MAX),
            response_headers: Vec::new(),
        })
    }

    /// Adds a header to the response, such as the cookie of an experiment.
    #[must_use]
    pub fn response_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = header(name.into(), value.into());
        self.0
            .response_headers
            .push(HeaderOperation::Append(header));
        self
    }

    /// The place, for tests.
    #[must_use]
    pub fn candidate(&self) -> usize {
        self.0.candidate as usize
    }
}

impl From<Choice> for route_wit::Choice {
    fn from(own: Choice) -> Self {
        own.0
    }
}

/// Chooses among the destinations of a route (`osier:extension/route`).
pub trait Route: Plugin {
    /// Chooses; none leaves it to the weights.
    fn choose(
        &self,
        request: &Request,
        headers: Headers<'_>,
        candidates: &[Candidate],
    ) -> Option<Choice>;
}

/// Chooses among the endpoints of a service (`osier:extension/balance`).
pub trait Balance: Plugin {
    /// Place in the list; none leaves it to the service's balancer.
    fn pick(
        &self,
        request: &Request,
        headers: Headers<'_>,
        endpoints: &[Endpoint],
    ) -> Option<usize>;
}

/// The word on a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Allow,
    /// It may, with warnings.
    Warn(Vec<String>),
    /// It may not.
    Deny {
        /// Why, for the one who writes.
        reason: String,
        /// Path of the wrong field, or empty.
        field: String,
    },
    /// It may, with the object changed by this JSON patch (RFC 6902).
    Patch(String),
}

impl From<Verdict> for admit_wit::Verdict {
    fn from(own: Verdict) -> Self {
        match own {
            Verdict::Allow => Self::Allow,
            Verdict::Warn(warnings) => Self::Warn(warnings),
            Verdict::Deny { reason, field } => Self::Deny(admit_wit::Denial { reason, field }),
            Verdict::Patch(patch) => Self::Patch(patch),
        }
    }
}

/// Judges writes of objects (`osier:extension/admit`).
pub trait Admit: Plugin {
    /// Judges one.
    fn review(&self, review: &Review) -> Verdict;
}

/// Has a say in where pods run (`osier:extension/schedule`).
pub trait Schedule: Plugin {
    /// One opinion for each node, in order; scores are 0 to 100.
    fn score(&self, pod: &Pod, nodes: &[Node]) -> Vec<Opinion>;
}
