//! Active health checks: what is asked of an endpoint outside, how often, and what the answers mean. Pure; the proxy asks.

use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};

/// How an endpoint is checked. It gets no calls before its first success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub probe: Probe,
    /// Until the first question.
    pub delay: Duration,
    /// Until a question counts as failed.
    pub timeout: Duration,
    /// From one question to the next.
    pub period: Duration,
    /// Successes in a row that make an endpoint sound again.
    pub successes: u32,
    /// Failures in a row that make it unsound.
    pub failures: u32,
}

/// What is asked of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A GET request, to be answered with a status from 200 to 399.
    Http {
        /// The port.
        port: u16,
        /// The path.
        path: PathAndQuery,
        /// Headers; `host` may be among them.
        headers: Vec<(HeaderName, HeaderValue)>,
    },
    /// A connection, which is closed at once.
    Tcp {
        /// The port.
        port: u16,
    },
}

/// What the answers so far say: how many there are in a row that say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soundness {
    /// It gets calls; so many checks failed since the last success.
    Sound(u32),
    /// It gets none; so many checks succeeded since the last failure.
    Unsound(u32),
}

impl Soundness {
    /// Nothing is known yet: the first success is enough.
    pub fn unknown(check: &Check) -> Self {
        Self::Unsound(check.successes.saturating_sub(1))
    }

    /// What it is after one more answer.
    #[must_use]
    pub fn after(self, good: bool, check: &Check) -> Self {
        match (self, good) {
            (Self::Sound(_), true) => Self::Sound(0),
            (Self::Sound(failed), false) if failed + 1 < check.failures => Self::Sound(failed + 1),
            (Self::Sound(_) | Self::Unsound(_), false) => Self::Unsound(0),
            (Self::Unsound(succeeded), true) if succeeded + 1 < check.successes => {
                Self::Unsound(succeeded + 1)
            }
            (Self::Unsound(_), true) => Self::Sound(0),
        }
    }

    /// Whether it gets calls.
    pub fn is_sound(self) -> bool {
        matches!(self, Self::Sound(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_a_row_decide() {
        let second = Duration::from_secs(1);
        let check = Check {
            probe: Probe::Tcp { port: 1 },
            delay: Duration::ZERO,
            timeout: second,
            period: second,
            successes: 2,
            failures: 3,
        };
        let mut is = Soundness::unknown(&check);
        let mut said = Vec::new();
        for answer in "+-+--++--+---++".chars() {
            is = is.after(answer == '+', &check);
            said.push(if is.is_sound() { '+' } else { '-' });
        }
        assert_eq!(said.into_iter().collect::<String>(), "++++++++++++--+");
    }
}
