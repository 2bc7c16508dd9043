//! Who overran lately, and so runs apart from those who do not. One overrun is nobody's habit; several in a row are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// So many overruns within [`WINDOW`] are too many.
const FEW: u32 = 3;
/// What is longer ago is forgotten.
const WINDOW: Duration = Duration::from_secs(10);
/// Who ran apart for so long without an overrun is let back.
pub const CALM: Duration = Duration::from_secs(30);

/// How one thing has behaved. Asking costs one load while it does.
#[derive(Default)]
pub struct Conduct {
    apart: AtomicBool,
    standing: Mutex<Standing>,
}

/// What is known of its overruns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Standing {
    /// Of none.
    #[default]
    Good,
    /// Of a few since the first of them.
    Noted { times: u32, first: Instant },
    /// Of too many; this was the last.
    Apart { last: Instant },
}

impl Conduct {
    /// True if it has to run apart.
    pub fn is_apart(&self, now: impl FnOnce() -> Instant) -> bool {
        if !self.apart.load(Ordering::Relaxed) {
            return false;
        }
        let (_, stands) = self.step(|standing| standing.at(now()));
        stands.is_apart()
    }

    /// It overran. True if it has to run apart from now on, and had not before.
    pub fn overran(&self, now: Instant) -> bool {
        let (stood, stands) = self.step(|standing| standing.at(now).overran(now));
        stands.is_apart() && !stood.is_apart()
    }

    /// How it stood before a step and stands after it.
    fn step(&self, step: impl FnOnce(Standing) -> Standing) -> (Standing, Standing) {
        let mut standing = self.standing.lock();
        let stood = *standing;
        *standing = step(stood);
        self.apart.store(standing.is_apart(), Ordering::Relaxed);
        (stood, *standing)
    }
}

impl Standing {
    fn is_apart(self) -> bool {
        matches!(self, Self::Apart { .. })
    }

    /// What time alone makes of it. Who is let back is one overrun away from being apart again.
    fn at(self, now: Instant) -> Self {
        let since = |then| now.saturating_duration_since(then);
        match self {
            Self::Noted { first, .. } if since(first) >= WINDOW => Self::Good,
            Self::Apart { last } if since(last) >= CALM => Self::Noted {
                times: FEW - 1,
                first: now,
            },
            as_it_was => as_it_was,
        }
    }

    fn overran(self, now: Instant) -> Self {
        let (times, first) = match self {
            Self::Good => (1, now),
            Self::Noted { times, first } => (times + 1, first),
            Self::Apart { .. } => return Self::Apart { last: now },
        };
        match times {
            FEW.. => Self::Apart { last: now },
            _ => Self::Noted { times, first },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_habit_is_kept_apart_and_a_calm_time_ends_it() {
        let (conduct, start) = (Conduct::default(), Instant::now());
        let overran = |at| conduct.overran(start + seconds(at));
        let apart = |at| conduct.is_apart(|| start + seconds(at));
        assert_eq!([overran(0), overran(1), apart(1)], [false; 3]);
        assert_eq!([overran(2), apart(2), apart(31)], [true; 3]);
        assert!(!overran(31), "it was apart already");
        assert_eq!([apart(60), apart(61)], [true, false]);
        // It is let back on probation, which ends too.
        assert!(overran(62));
        assert!(!apart(92) && !overran(103) && !overran(104) && overran(105));
    }

    proptest! {
        /// Whatever the pauses between overruns in milliseconds: too many within the window are kept apart, and nobody is who was calm.
        #[test]
        fn it_follows_from_the_overruns_alone(pauses in proptest::collection::vec(0_u64..40_000, 1..60)) {
            let (conduct, start) = (Conduct::default(), Instant::now());
            let (mut now, mut all) = (start, Vec::new());
            for pause in pauses {
                let next = now + Duration::from_millis(pause);
                if pause >= CALM.as_millis() as u64 {
                    prop_assert!(!conduct.is_apart(|| next));
                }
                now = next;
                conduct.overran(now);
                all.push(now);
                // Counting begins anew with the first overrun after a window, so a habit is found at the latest after twice as many.
                let habit = all.len() >= 2 * FEW as usize && now - all[all.len() - 2 * FEW as usize] < WINDOW;
                let rare = all.len() < FEW as usize;
                let apart = conduct.is_apart(|| now);
                prop_assert!(!habit || apart);
                prop_assert!(!rare || !apart);
            }
        }
    }
}
