//! One container's life.

use std::time::Duration;

use jiff::Timestamp;
use osier_client::Backoff;
use osier_engine::Exit;
use osier_podspec::{RestartPolicy, is_sidecar};
use osier_process::clock;
use serde_json::{Value, json};

/// How long a container waits before it is started again: 10 s, doubling to 5 min, as kubelet.
pub const BACKOFF: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(300));
/// A container that ran this long is healthy again: its next failure counts as the first.
const SETTLED: Duration = Duration::from_secs(600);

/// Where a container stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// It is not running, and will be tried (again).
    Waiting {
        /// `ContainerCreating`, `PodInitializing`, `CrashLoopBackOff`, `ErrImagePull` and so on.
        reason: &'static str,
        /// For people; may be empty.
        message: String,
    },
    /// It runs.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It ended, and is not started again (yet).
    Terminated(Ended),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// 0 if it ended well.
    pub exit_code: i32,
    /// `Completed`, `Error`, `OOMKilled` and so on.
    pub reason: String,
    /// For people; may be empty.
    pub message: String,
    /// When it was started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Of this life.
    pub container_id: String,
}

/// What the agent knows of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// As its pod says.
    pub image: String,
    /// Digest of the component, once known.
    pub image_id: String,
    /// Where it stands.
    pub life: Life,
    /// How its life before this one ended.
    pub last: Option<Ended>,
    /// How often it was started again.
    pub restarts: u32,
    /// Failures in a row, for the back-off.
    pub failures: u32,
    /// It takes requests.
    pub ready: bool,
    /// Its startup probe has passed, or it runs and has none.
    pub started: bool,
    /// An init container that goes on beside the containers.
    pub sidecar: bool,
    /// Of its present life.
    pub container_id: String,
}

/// What follows from the end of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It stays as it is.
    Stay,
    /// It is started again after this long.
    Restart(Duration),
}

impl Ended {
    /// The end of a command, in the exit codes that people know: 134 for a trap (abort), 137 for
    /// what was killed.
    #[must_use]
    pub fn of(exit: &Exit) -> Self {
        let (exit_code, reason, message) = match exit {
            Exit::Code(0) => (0, "Completed", String::new()),
            Exit::Code(code) => (*code, "Error", String::new()),
            Exit::Trap { reason, .. } => (134, "Error", format!("trap: {reason}")),
            Exit::OutOfMemory => (
                137,
                "OOMKilled",
                "the component wanted more memory than its limit".to_owned(),
            ),
            Exit::Killed => (137, "Error", String::new()),
        };
        Self::new(exit_code, reason, message)
    }

    /// An end that is now, with a reason and words for people.
    #[must_use]
    pub fn new(exit_code: i32, reason: &str, message: impl Into<String>) -> Self {
        Self {
            exit_code,
            reason: reason.to_owned(),
            message: message.into(),
            started: None,
            finished: None,
            container_id: String::new(),
        }
    }

    fn json(&self) -> Value {
        let time = |time: Option<Timestamp>| time.map(clock::seconds);
        let mut state = json!({"exitCode": self.exit_code, "reason": self.reason,
            "startedAt": time(self.started), "finishedAt": time(self.finished)});
        if !self.message.is_empty() {
            state["message"] = self.message.as_str().into();
        }
        if !self.container_id.is_empty() {
            state["containerID"] = self.container_id.as_str().into();
        }
        state
    }

    fn from_json(state: &Value) -> Self {
        let text = |field: &str| state[field].as_str().unwrap_or_default().to_owned();
        let time = |field: &str| state[field].as_str().and_then(|time| time.parse().ok());
        Self {
            exit_code: state["exitCode"]
                .as_i64()
                .and_then(|code| i32::try_from(code).ok())
                .unwrap_or(-1),
            reason: text("reason"),
            message: text("message"),
            started: time("startedAt"),
            finished: time("finishedAt"),
            container_id: text("containerID"),
        }
    }
}

impl Record {
    /// A container that was never started.
    #[must_use]
    pub fn new(container: &Value, reason: &'static str) -> Self {
        let text = |field: &str| container[field].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            image: text("image"),
            image_id: String::new(),
            life: Life::Waiting {
                reason,
                message: String::new(),
            },
            last: None,
            restarts: 0,
            failures: 0,
            ready: false,
            started: false,
            sidecar: false,
            container_id: String::new(),
        }
    }

    /// The same of an init container.
    #[must_use]
    pub fn new_init(container: &Value, reason: &'static str) -> Self {
        Self {
            sidecar: is_sidecar(container),
            ..Self::new(container, reason)
        }
    }

    /// Takes over what an earlier process of this node had reported: the count of restarts, and
    /// that what ran then has ended with that process.
    pub fn resume(&mut self, reported: &Value) {
        let restarts = reported["restartCount"].as_u64();
        let restarts = restarts.and_then(|count| u32::try_from(count).ok());
        self.restarts = restarts.unwrap_or(0);
        let last = &reported["lastState"]["terminated"];
        self.last = last.is_object().then(|| Ended::from_json(last));
        let (running, terminated) = (
            &reported["state"]["running"],
            &reported["state"]["terminated"],
        );
        if running.is_object() {
            let lost = "the container was running when the node's process ended";
            let mut ended = Ended::new(137, "ContainerStatusUnknown", lost);
            ended.started = running["startedAt"]
                .as_str()
                .and_then(|time| time.parse().ok());
            ended.container_id = reported["containerID"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            self.life = Life::Terminated(ended);
        } else if terminated.is_object() {
            self.life = Life::Terminated(Ended::from_json(terminated));
        }
    }

    /// It runs now.
    pub fn start(&mut self, since: Timestamp, container_id: String) {
        if let Life::Terminated(ended) = &self.life {
            self.last = Some(ended.clone());
            self.restarts += 1;
        } else if self.last.is_some() {
            self.restarts += 1;
        }
        self.life = Life::Running { since };
        self.container_id = container_id;
    }

    /// It ended now.
    pub fn end(&mut self, mut ended: Ended, now: Timestamp) {
        if let Life::Running { since } = self.life {
            ended.started = Some(since);
            let ran = Duration::try_from(now.duration_since(since)).unwrap_or_default();
            if ran >= SETTLED {
                self.failures = 0;
            }
        }
        ended.finished = Some(now);
        ended.container_id.clone_from(&self.container_id);
        self.failures = self.failures.saturating_add(1);
        (self.ready, self.started) = (false, false);
        self.life = Life::Terminated(ended);
    }

    /// A part of it ended and was replaced at once, as an instance of a pool that trapped: it
    /// keeps running, and people see why it was restarted.
    pub fn replace_instance(&mut self, mut ended: Ended, now: Timestamp) {
        if let Life::Running { since } = self.life {
            ended.started = Some(since);
            ended.finished = Some(now);
            ended.container_id.clone_from(&self.container_id);
            self.restarts = self.restarts.saturating_add(1);
            self.last = Some(ended);
        }
    }

    /// It waits; what it did before becomes its last state.
    pub fn wait(&mut self, reason: &'static str, message: impl Into<String>) {
        if let Life::Terminated(ended) = &self.life {
            self.last = Some(ended.clone());
        }
        (self.ready, self.started) = (false, false);
        self.life = Life::Waiting {
            reason,
            message: message.into(),
        };
    }

    /// It runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.life, Life::Running { .. })
    }

    /// It was started, now or before.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.is_running() || self.last.is_some() || self.ended().is_some()
    }

    /// What comes after it in its pod may begin: an init container has done its work, a sidecar is up.
    #[must_use]
    pub fn is_past(&self) -> bool {
        match self.sidecar {
            true => self.started,
            false => self.ended().is_some_and(|ended| ended.exit_code == 0),
        }
    }

    /// Its end, if it ended and is not waiting to be started again.
    #[must_use]
    pub fn ended(&self) -> Option<&Ended> {
        match &self.life {
            Life::Terminated(ended) => Some(ended),
            Life::Waiting { .. } | Life::Running { .. } => None,
        }
    }

    /// One entry of `containerStatuses`.
    #[must_use]
    pub fn json(&self) -> Value {
        let state = match &self.life {
            Life::Waiting { reason, message } if message.is_empty() => {
                json!({"waiting": {"reason": reason}})
            }
            Life::Waiting { reason, message } => {
                json!({"waiting": {"reason": reason, "message": message}})
            }
            Life::Running { since } => json!({"running": {"startedAt": clock::seconds(*since)}}),
            Life::Terminated(ended) => json!({"terminated": ended.json()}),
        };
        let last = self
            .last
            .as_ref()
            .map_or_else(|| json!({}), |ended| json!({"terminated": ended.json()}));
        let mut status = json!({
            "name": self.name, "image": self.image, "imageID": self.image_id,
            "state": state, "lastState": last,
            "restartCount": self.restarts, "ready": self.ready, "started": self.started,
        });
        if !self.container_id.is_empty() {
            status["containerID"] = self.container_id.as_str().into();
        }
        status
    }
}

/// What follows from a container's end. An init container that succeeded is done under any policy; a sidecar is started again under any.
#[must_use]
pub fn after_end(policy: RestartPolicy, init: bool, record: &Record) -> After {
    let Some(ended) = record.ended() else {
        return After::Stay;
    };
    let succeeded = ended.exit_code == 0;
    let again = match policy {
        _ if record.sidecar => true,
        RestartPolicy::Always => !(init && succeeded),
        RestartPolicy::OnFailure => !succeeded,
        RestartPolicy::Never => false,
    };
    // The first restart is at once; only a container that fails again has to wait.
    if again {
        After::Restart(BACKOFF.after(record.failures.saturating_sub(1)))
    } else {
        After::Stay
    }
}
