//! Probes: asks a container how it is, through the engine and not through the mesh, and says so
//! when the answer changes.

use std::time::Duration;

use http::{Request, StatusCode};
use osier_engine::HttpContainer;
use osier_process::body;
use serde_json::Value;
use tokio::sync::mpsc;

use super::Event;

/// The three probes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Has it come up? Until then the others are not asked.
    Startup,
    /// Does it take requests?
    Readiness,
    /// Should it go on?
    Liveness,
}

/// A verdict, or a failure that has no verdict yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) kind: Kind,
    /// The verdict changed to this.
    pub(crate) verdict: Option<bool>,
    /// What the last attempt failed with; empty if it did not.
    pub(crate) failure: String,
}

/// A declared probe.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Probe {
    pub(super) kind: Kind,
    path: String,
    headers: Vec<(String, String)>,
    initial_delay: Duration,
    pub(super) period: Duration,
    timeout: Duration,
    judge: Judge,
}

/// Who wants to know, and about which life of which container.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    pub(super) index: usize,
    pub(super) life: u32,
    pub(super) events: mpsc::Sender<Event>,
}

impl Listener {
    async fn tell(&self, check: Check) -> bool {
        let (index, life) = (self.index, self.life);
        self.events
            .send(Event::Probed { index, life, check })
            .await
            .is_ok()
    }
}

/// Counts attempts in a row and gives a verdict when a threshold is met. Pure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judge {
    success_threshold: u32,
    failure_threshold: u32,
    successes: u32,
    failures: u32,
    verdict: Option<bool>,
}

impl Judge {
    pub(super) fn new(success_threshold: u32, failure_threshold: u32) -> Self {
        Self {
            success_threshold: success_threshold.max(1),
            failure_threshold: failure_threshold.max(1),
            successes: 0,
            failures: 0,
            verdict: None,
        }
    }

    /// Takes the result of an attempt; the verdict if it is a new one.
    pub(super) fn take(&mut self, healthy: bool) -> Option<bool> {
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
    pub(crate) fn word(self) -> &'static str {
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
    /// The probe of that kind, if the container declares one that asks over HTTP. A component
    /// has no other way to be asked; it is up when it is instantiated.
    pub(super) fn of(container: &Value, kind: Kind) -> Option<Self> {
        let probe = &container[kind.field()];
        let get = probe.get("httpGet").filter(|get| get.is_object())?;
        let number = |field: &str, default: u64| probe[field].as_u64().unwrap_or(default);
        let seconds = |field: &str, default: u64| Duration::from_secs(number(field, default));
        let threshold =
            |field: &str, default: u64| u32::try_from(number(field, default)).unwrap_or(u32::MAX);
        let headers = get["httpHeaders"].as_array().into_iter().flatten();
        Some(Self {
            kind,
            path: get["path"]
                .as_str()
                .filter(|path| path.starts_with('/'))
                .unwrap_or("/")
                .to_owned(),
            headers: headers
                .filter_map(|header| {
                    Some((
                        header["name"].as_str()?.to_owned(),
                        header["value"].as_str()?.to_owned(),
                    ))
                })
                .collect(),
            initial_delay: seconds("initialDelaySeconds", 0),
            period: seconds("periodSeconds", 10).max(Duration::from_secs(1)),
            timeout: seconds("timeoutSeconds", 1).max(Duration::from_secs(1)),
            judge: Judge::new(
                threshold("successThreshold", 1),
                threshold("failureThreshold", 3),
            ),
        })
    }

    /// Asks until nobody listens. A startup probe ends with its first verdict.
    pub(super) async fn run(mut self, container: HttpContainer, listener: Listener) {
        tokio::time::sleep(self.initial_delay).await;
        let mut ticks = tokio::time::interval(self.period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let failure = self.attempt(&container).await.err().unwrap_or_default();
            let verdict = self.judge.take(failure.is_empty());
            if verdict.is_none() && failure.is_empty() {
                continue;
            }
            let check = Check {
                kind: self.kind,
                verdict,
                failure,
            };
            if !listener.tell(check).await || (self.kind == Kind::Startup && verdict.is_some()) {
                return;
            }
        }
    }

    /// kubelet's words for what went wrong.
    async fn attempt(&self, container: &HttpContainer) -> Result<(), String> {
        let mut request = Request::get(format!("http://localhost{}", self.path))
            .header("user-agent", "kube-probe/1.32");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(body::empty())
            .map_err(|error| error.to_string())?;
        let answer = tokio::time::timeout(self.timeout, container.call(request)).await;
        let answer = answer.map_err(|_| {
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned()
        })?;
        let code = answer.map_err(|error| error.to_string())?.status();
        if (StatusCode::OK..StatusCode::BAD_REQUEST).contains(&code) {
            Ok(())
        } else {
            Err(format!(
                "HTTP probe failed with statuscode: {}",
                code.as_u16()
            ))
        }
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
        let container = json!({"livenessProbe": {"httpGet": {"path": "/live", "httpHeaders": [{"name": "a", "value": "b"}]}, "periodSeconds": 3},
            "readinessProbe": {"tcpSocket": {"port": 80}}});
        let probe = Probe::of(&container, Kind::Liveness).unwrap();
        assert_eq!(
            (probe.path.as_str(), probe.period, probe.timeout),
            ("/live", Duration::from_secs(3), Duration::from_secs(1))
        );
        assert_eq!(probe.headers, [("a".to_owned(), "b".to_owned())]);
        assert!(
            Probe::of(&container, Kind::Readiness).is_none()
                && Probe::of(&container, Kind::Startup).is_none()
        );
    }
}
