//! A closed-loop load generator: N kept connections, each asking again as soon as it has its answer, counted by second and status.

use crate::http::Connection;
use anyhow::Result;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What is asked, and how hard.
#[derive(Clone)]
pub struct Plan {
    /// Host and port.
    pub address: String,
    /// Path and query.
    pub path: String,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// Connections at work at the same time.
    pub connections: usize,
    /// A pause after each answer; zero for as fast as possible.
    pub pause: Duration,
}

/// One answered or failed request.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    took: Duration,
    /// Zero: no answer.
    status: u16,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Outcome {
    samples: Vec<Sample>,
    /// The first few connection or protocol errors, in words.
    pub errors: Vec<String>,
}

/// A running load.
pub struct Load {
    started: Instant,
    stop: CancellationToken,
    outcome: Arc<Mutex<Outcome>>,
    tasks: JoinSet<()>,
}

impl Plan {
    /// GET `path` at `address` over `connections`.
    pub fn get(address: &str, path: &str, connections: usize) -> Self {
        let pause = Duration::ZERO;
        Self {
            address: address.into(),
            path: path.into(),
            headers: Vec::new(),
            connections,
            pause,
        }
    }

    /// The same with a pause after every answer.
    pub fn paced(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// The same with one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Starts asking.
    pub fn start(self) -> Load {
        let mut load = Load {
            started: Instant::now(),
            stop: CancellationToken::new(),
            outcome: Arc::default(),
            tasks: JoinSet::new(),
        };
        for _ in 0..self.connections {
            let worker = Worker {
                plan: self.clone(),
                started: load.started,
                stop: load.stop.clone(),
                outcome: load.outcome.clone(),
            };
            load.tasks.spawn(worker.run());
        }
        load
    }

    fn request(&self) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::get(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(Full::default())?)
    }
}

impl Load {
    /// Time since the start: the clock of every sample.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How many answers had this status since `since`.
    pub fn count(&self, status: u16, since: Duration) -> usize {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome
            .samples
            .iter()
            .filter(|sample| sample.at >= since && sample.status == status)
            .count()
    }

    /// Lets no new request begin; those in flight go on.
    pub fn stop_asking(&self) {
        self.stop.cancel();
    }

    /// Lets every request in flight end, and returns all that was seen.
    pub async fn finish(mut self) -> Outcome {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        std::mem::take(&mut *self.outcome.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Worker {
    plan: Plan,
    started: Instant,
    stop: CancellationToken,
    outcome: Arc<Mutex<Outcome>>,
}

impl Worker {
    async fn run(self) {
        let mut connection = None;
        while !self.stop.is_cancelled() {
            let began = Instant::now();
            let status = match self.ask(&mut connection).await {
                Ok(status) => status,
                Err(error) => {
                    connection = None;
                    self.note(format!("{error:#}"));
                    0
                }
            };
            self.record(began, status);
            if !self.plan.pause.is_zero() || status == 0 {
                let pause = self.plan.pause.max(Duration::from_millis(5));
                tokio::select! { () = tokio::time::sleep(pause) => {}, () = self.stop.cancelled() => {} }
            }
        }
    }

    async fn ask(&self, connection: &mut Option<Connection>) -> Result<u16> {
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open(&self.plan.address).await?,
        };
        let answer = open.send(self.plan.request()?).await?;
        let closing = answer
            .headers
            .get("connection")
            .is_some_and(|value| value == "close");
        if !closing {
            *connection = Some(open);
        }
        Ok(answer.status.as_u16())
    }

    fn note(&self, error: String) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.errors.len() < 10 {
            outcome.errors.push(error);
        }
    }

    fn record(&self, began: Instant, status: u16) {
        let sample = Sample {
            at: began - self.started,
            took: began.elapsed(),
            status,
        };
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .samples
            .push(sample);
    }
}

impl Outcome {
    /// All requests.
    pub fn total(&self) -> usize {
        self.samples.len()
    }

    /// Answers by status; zero stands for requests without an answer.
    pub fn by_status(&self) -> BTreeMap<u16, usize> {
        let mut counts = BTreeMap::new();
        for sample in &self.samples {
            *counts.entry(sample.status).or_default() += 1;
        }
        counts
    }

    /// Requests whose status is not among `expected`, with the first errors in words: empty when all is well.
    pub fn unexpected(&self, expected: &[u16]) -> Vec<String> {
        let counts = self.by_status().into_iter();
        let mut faults: Vec<String> = counts
            .filter(|(status, _)| !expected.contains(status))
            .map(|(status, count)| match status {
                0 => format!("{count} requests without an answer"),
                _ => format!("{count} answers with {status}"),
            })
            .collect();
        if !faults.is_empty() {
            faults.extend(self.errors.iter().cloned());
        }
        faults
    }

    /// Answers by second since the start, each by status.
    pub fn by_second(&self) -> Vec<BTreeMap<u16, usize>> {
        let mut seconds: Vec<BTreeMap<u16, usize>> = Vec::new();
        for sample in &self.samples {
            let index = sample.at.as_secs() as usize;
            if seconds.len() <= index {
                seconds.resize(index + 1, BTreeMap::new());
            }
            *seconds[index].entry(sample.status).or_default() += 1;
        }
        seconds
    }

    /// The time within which `share` (0 to 1) of the requests after `since` with `status` were answered.
    pub fn quantile(&self, share: f64, status: u16, since: Duration) -> Option<Duration> {
        let matching = self
            .samples
            .iter()
            .filter(|sample| sample.status == status && sample.at >= since);
        let mut times: Vec<Duration> = matching.map(|sample| sample.took).collect();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        times.get((last as f64 * share).round() as usize).copied()
    }

    /// Answers per second after `since`.
    pub fn rate(&self, since: Duration) -> f64 {
        let matching = self
            .samples
            .iter()
            .filter(|sample| sample.at >= since && sample.status != 0);
        let (mut count, mut end) = (0usize, since);
        for sample in matching {
            count += 1;
            end = end.max(sample.at + sample.took);
        }
        if end > since {
            count as f64 / (end - since).as_secs_f64()
        } else {
            0.0
        }
    }
}
