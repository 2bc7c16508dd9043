//! Where the time goes between a save and an answer.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

/// The time since a save, in parts.
pub(super) struct Phases {
    begun: Instant,
    ended: Vec<(&'static str, Duration)>,
}

impl Phases {
    /// A save that was just noticed.
    pub(super) fn since(saved: SystemTime) -> Self {
        // A clock that was set back meanwhile would say nonsense.
        let noticed = saved.elapsed().unwrap_or_default();
        let now = Instant::now();
        Self {
            begun: now.checked_sub(noticed).unwrap_or(now),
            ended: vec![("notice", noticed)],
        }
    }

    /// What was done since the last phase is over.
    pub(super) fn end(&mut self, name: &'static str) {
        let before: Duration = self.ended.iter().map(|(_, took)| *took).sum();
        self.ended
            .push((name, self.begun.elapsed().saturating_sub(before)));
    }
}

impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Duration = self.ended.iter().map(|(_, took)| *took).sum();
        write!(f, "{:.2} s", all.as_secs_f64())?;
        for (place, (name, took)) in self.ended.iter().enumerate() {
            let before = if place == 0 { " (" } else { ", " };
            write!(f, "{before}{name} {:.2}", took.as_secs_f64())?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_add_up() {
        let mut phases = Phases {
            begun: Instant::now(),
            ended: vec![
                ("notice", Duration::from_millis(20)),
                ("build", Duration::from_millis(310)),
            ],
        };
        assert_eq!(phases.to_string(), "0.33 s (notice 0.02, build 0.31)");
        phases.end("serve");
        assert!(phases.to_string().contains(", serve 0.00)"), "{phases}");
    }
}
