//! How a container is asked for its health, and what follows from the answers.

use std::time::Duration;

use serde_json::Value;

use crate::action::Action;

/// The three probes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Has it come up? Until then the others are not asked.
    Startup,
    /// Does it take requests?
    Readiness,
    /// Should it go on?
    Liveness,
}

/// A declared probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Which one.
    pub kind: Kind,
    /// How it asks.
    pub action: Action,
    /// Before the first attempt.
    pub initial_delay: Duration,
    /// Between two attempts.
    pub period: Duration,
    /// An attempt that takes longer has failed.
    pub timeout: Duration,
    /// Counts.
    pub judge: Judge,
}

/// Counts attempts in a row and gives a verdict when a threshold is met. Pure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judge {
    success_threshold: u32,
    failure_threshold: u32,
    successes: u32,
    failures: u32,
    verdict: Option<bool>,
}

impl Judge {
    /// With these thresholds; at least 1.
    #[must_use]
    pub fn new(success_threshold: u32, failure_threshold: u32) -> Self {
        Self {
            success_threshold: success_threshold.max(1),
            failure_threshold: failure_threshold.max(1),
            successes: 0,
            failures: 0,
            verdict: None,
        }
    }

    /// Takes the result of an attempt; the verdict if it is a new one.
    pub fn take(&mut self, healthy: bool) -> Option<bool> {
        (self.successes, self.failures) = if healthy {
            (self.successes + 1, 0)
        } else {
            (0, self.failures + 1)
        };
        let verdict = if healthy {
            (self.successes >= self.success_threshold).then_some(true)
        } else {
            (self.failures >= self.failure_threshold).then_some(false)
        };
        let news = verdict.filter(|verdict| self.verdict != Some(*verdict))?;
        self.verdict = Some(news);
        Some(news)
    }
}

impl Kind {
    /// As events say it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }

    fn field(self) -> &'static str {
        match self {
            Self::Startup => "startupProbe",
            Self::Readiness => "readinessProbe",
            Self::Liveness => "livenessProbe",
        }
    }
}

impl Probe {
    /// The probe of that kind, if the container declares one.
    #[must_use]
    pub fn of(container: &Value, kind: Kind) -> Option<Self> {
        let probe = &container[kind.field()];
        let action = Action::of(probe, container)?;
        let number = |field: &str, default: u64| probe[field].as_u64().unwrap_or(default);
        let seconds = |field: &str, default: u64| Duration::from_secs(number(field, default));
        let threshold =
            |field: &str, default: u64| u32::try_from(number(field, default)).unwrap_or(u32::MAX);
        Some(Self {
            kind,
            action,
            initial_delay: seconds("initialDelaySeconds", 0),
            period: seconds("periodSeconds", 10).max(Duration::from_secs(1)),
            timeout: seconds("timeoutSeconds", 1).max(Duration::from_secs(1)),
            judge: Judge::new(
                threshold("successThreshold", 1),
                threshold("failureThreshold", 3),
            ),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn thresholds_make_verdicts_and_repetitions_none() {
        let mut judge = Judge::new(2, 3);
        let verdicts: Vec<_> = [
            true, true, true, false, false, true, false, false, false, false, true, true,
        ]
        .map(|healthy| judge.take(healthy))
        .into();
        let expected = [(1, true), (8, false), (11, true)];
        for (index, verdict) in verdicts.iter().enumerate() {
            let wanted = expected
                .iter()
                .find(|(at, _)| *at == index)
                .map(|(_, verdict)| *verdict);
            assert_eq!(*verdict, wanted, "attempt {index}");
        }
    }

    #[test]
    fn declared_values_and_defaults() {
        let container = json!({"livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 3},
            "readinessProbe": {}});
        let probe = Probe::of(&container, Kind::Liveness).unwrap();
        assert_eq!(
            (probe.period, probe.timeout, probe.initial_delay),
            (
                Duration::from_secs(3),
                Duration::from_secs(1),
                Duration::ZERO
            )
        );
        assert!(
            Probe::of(&container, Kind::Readiness).is_none()
                && Probe::of(&container, Kind::Startup).is_none()
        );
    }
}
