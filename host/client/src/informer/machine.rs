//! The informer's course as a pure machine: list, open the watch, follow it, and when in doubt
//! list again.

use std::time::Duration;

use super::NO_PAUSE;
use crate::backoff::RECONNECT;

/// Where an informer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is known, or what is known cannot be continued: read everything.
    Listing {
        /// Attempts that failed in a row.
        failures: u32,
    },
    /// Everything up to `revision` is known: ask for what comes after it.
    Opening {
        /// The last revision seen.
        revision: u64,
        /// Attempts that failed in a row.
        failures: u32,
    },
    /// Changes arrive.
    Following {
        /// The last revision seen.
        revision: u64,
        /// Failures before the first change arrived; a server that takes watches and drops them
        /// at once must not be asked in a tight loop.
        failures: u32,
    },
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// A complete list of this revision was read.
    Listed(u64),
    /// The watch was accepted.
    Opened,
    /// The watch tells of everything up to this revision.
    Reached(u64),
    /// The server ended the watch, as it does after a while.
    Ended,
    /// The server no longer has what follows our revision (410).
    Gone,
    /// Anything else went wrong.
    Failed,
}

impl State {
    /// The state after `input`.
    pub(super) fn next(self, input: Input) -> Self {
        let failures = self.failures();
        match (self, input) {
            (_, Input::Listed(revision)) => Self::Opening {
                revision,
                failures: 0,
            },
            (
                Self::Opening { revision, failures } | Self::Following { revision, failures },
                Input::Opened,
            ) => Self::Following { revision, failures },
            (Self::Following { revision, .. }, Input::Reached(reached)) => Self::Following {
                revision: revision.max(reached),
                failures: 0,
            },
            // A watch ends cleanly after minutes of life; the small failure count only guards
            // against a server that ends it at once.
            (Self::Following { revision, .. }, Input::Ended | Input::Failed)
            | (Self::Opening { revision, .. }, Input::Failed) => Self::Opening {
                revision,
                failures: failures.saturating_add(1),
            },
            (_, Input::Gone) => Self::Listing { failures },
            _ => Self::Listing {
                failures: failures.saturating_add(1),
            },
        }
    }

    /// How long to wait before acting on this state; `jitter` spreads the clients of a server
    /// that comes back over half to all of the delay.
    pub(super) fn wait(self, jitter: u8) -> Duration {
        match self {
            Self::Following { .. } => NO_PAUSE,
            Self::Listing { failures } | Self::Opening { failures, .. } => {
                let full = RECONNECT.after(failures);
                full / 2 + full.mul_f64(f64::from(jitter) / 510.0)
            }
        }
    }

    fn failures(self) -> u32 {
        match self {
            Self::Listing { failures }
            | Self::Opening { failures, .. }
            | Self::Following { failures, .. } => failures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ordinary_course() {
        let state = State::Listing { failures: 3 }.next(Input::Listed(7));
        assert_eq!(
            state,
            State::Opening {
                revision: 7,
                failures: 0
            }
        );
        assert_eq!(state.wait(255), Duration::ZERO);
        let state = state.next(Input::Opened).next(Input::Reached(9));
        assert_eq!(
            state,
            State::Following {
                revision: 9,
                failures: 0
            }
        );
        assert_eq!(
            state.next(Input::Ended),
            State::Opening {
                revision: 9,
                failures: 1
            }
        );
    }

    #[test]
    fn gone_lists_at_once_and_twice_gone_does_not_loop() {
        let following = State::Following {
            revision: 9,
            failures: 0,
        };
        assert_eq!(following.next(Input::Gone).wait(255), Duration::ZERO);
        let again = following
            .next(Input::Ended)
            .next(Input::Gone)
            .next(Input::Failed);
        assert!(again.wait(0) > Duration::ZERO);
    }

    #[test]
    fn a_watch_that_is_dropped_at_once_backs_off() {
        let mut state = State::Opening {
            revision: 1,
            failures: 0,
        };
        for _ in 0..20 {
            state = state.next(Input::Opened).next(Input::Failed);
        }
        assert!(state.wait(0) >= Duration::from_secs(5));
    }

    fn input() -> impl Strategy<Value = Input> {
        prop_oneof![
            (1_u64..100).prop_map(Input::Listed),
            Just(Input::Opened),
            (1_u64..100).prop_map(Input::Reached),
            Just(Input::Ended),
            Just(Input::Gone),
            Just(Input::Failed),
        ]
    }

    proptest! {
        /// Between two lists the revision never goes back: nothing is skipped and nothing told twice.
        #[test]
        fn revisions_only_grow(inputs in prop::collection::vec(input(), 0..60)) {
            let mut state = State::Listing { failures: 0 };
            for input in inputs {
                let next = state.next(input);
                if let (State::Opening { revision: a, .. } | State::Following { revision: a, .. },
                        State::Opening { revision: b, .. } | State::Following { revision: b, .. }) = (state, next)
                    && !matches!(input, Input::Listed(_)) {
                    prop_assert!(b >= a);
                }
                state = next;
            }
        }
    }
}
