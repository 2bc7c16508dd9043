//! The deadline of one call of a guest that may not wait.

use std::time::Duration;
use wasmtime::UpdateDeadline;

/// Holds a call to its deadline.
///
/// The epoch counts wall time, which also passes while the thread waits for a processor; on a loaded machine that alone
/// would break innocent calls. Reading the thread's own time costs as much as half a call. So the epoch watches the
/// first half of the deadline for free, and only a call that exceeds it pays for the exact clock in the second half.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watch {
    /// The call has run for less than half of its deadline.
    Coarse {
        /// The deadline.
        limit: Duration,
    },
    /// The call is slow: it traps when the thread has run until `end`.
    Exact {
        /// The deadline, for the message.
        limit: Duration,
        /// On the thread's own clock.
        end: Duration,
    },
    /// The call was stopped.
    Over {
        /// The deadline.
        limit: Duration,
    },
}

impl Watch {
    /// The epoch passed the deadline that was set last.
    pub(crate) fn on_deadline(&mut self, thread_time: Duration) -> UpdateDeadline {
        match *self {
            Self::Coarse { limit } => {
                *self = Self::Exact {
                    limit,
                    end: thread_time + limit - limit / 2,
                };
                UpdateDeadline::Continue(1)
            }
            Self::Exact { end, .. } if thread_time < end => UpdateDeadline::Continue(1),
            Self::Exact { limit, .. } | Self::Over { limit } => {
                *self = Self::Over { limit };
                UpdateDeadline::Interrupt
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_on_the_processor_counts_against_the_second_half() {
        let ms = Duration::from_millis;
        let mut watch = Watch::Coarse { limit: ms(5) };
        assert!(matches!(
            watch.on_deadline(ms(100)),
            UpdateDeadline::Continue(1)
        ));
        // The thread waited for a processor: much wall time, no time of its own.
        for _ in 0..1000 {
            assert!(matches!(
                watch.on_deadline(ms(101)),
                UpdateDeadline::Continue(1)
            ));
        }
        assert!(matches!(
            watch.on_deadline(ms(103)),
            UpdateDeadline::Interrupt
        ));
        assert!(matches!(watch, Watch::Over { .. }));
    }
}
