//! Writes pod statuses: the latest of each pod, never two of one pod at once, again until it is done.

use std::collections::HashMap;
use std::sync::Arc;

use osier_api::Object;
use osier_api::resources::PODS;
use osier_client::{CONTROLLER, Client, ClientError, Part, WorkQueue};
use osier_process::Tasks;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Statuses written at once; the store commits them together.
const WRITERS: usize = 16;

/// The statuses that wait to be written.
#[derive(Clone)]
pub(crate) struct Statuses {
    client: Client,
    waiting: Arc<Mutex<HashMap<String, Waiting>>>,
    queue: WorkQueue<String>,
}

struct Waiting {
    namespace: String,
    name: String,
    status: Value,
    /// Others write conditions of the pod, for which it waits to be ready.
    shared: bool,
}

/// How often a status is written again because somebody else wrote at the same time.
const ATTEMPTS: usize = 8;

impl Statuses {
    pub(crate) fn start(client: Client, tasks: &Tasks) -> Self {
        let this = Self {
            client,
            waiting: Arc::default(),
            queue: WorkQueue::new(CONTROLLER),
        };
        for _ in 0..WRITERS {
            let (writer, stopping) = (this.clone(), tasks.stopping());
            tasks.spawn("pod-status", async move {
                tokio::select! {
                    () = writer.run() => {}
                    () = stopping.cancelled() => {}
                }
            });
        }
        this
    }

    /// The pod's status is to be this.
    pub(crate) fn put(&self, pod: &Object, status: Value) {
        let waiting = Waiting {
            namespace: pod.namespace().to_owned(),
            name: pod.name().to_owned(),
            status,
            shared: pod.get(&["spec", "readinessGates"]).is_some(),
        };
        self.waiting.lock().insert(pod.uid().to_owned(), waiting);
        self.queue.add(pod.uid().to_owned());
    }

    /// Writes a pod's last status now, in place of what waits.
    pub(crate) async fn write_last(&self, pod: &Object, status: Value) {
        self.forget(pod.uid());
        if let Err(error) = self
            .write(pod.uid(), (pod.namespace(), pod.name()), status)
            .await
        {
            tracing::debug!(%error, pod = pod.name(), "the pod's last status is not written");
        }
    }

    /// The pod is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.waiting.lock().remove(uid);
    }

    async fn run(self) {
        while let Some(taken) = self.queue.take().await {
            let uid = taken.key().clone();
            let Some(waiting) = self.waiting.lock().remove(&uid) else {
                taken.succeed();
                continue;
            };
            let of = (waiting.namespace.as_str(), waiting.name.as_str());
            let written = match waiting.shared {
                true => self.write_beside(&uid, of, &waiting.status).await,
                false => self.write(&uid, of, waiting.status.clone()).await,
            };
            match written {
                Err(error) if !error.is_not_found() && !error.is_conflict() => {
                    tracing::debug!(%error, pod = waiting.name, "the pod's status will be written again");
                    self.waiting.lock().entry(uid).or_insert(waiting);
                    taken.retry();
                }
                _ => taken.succeed(),
            }
        }
    }

    /// With the uid, so that it never reaches another pod of that name.
    async fn write(&self, uid: &str, of: (&str, &str), status: Value) -> Result<(), ClientError> {
        let patch = json!({"metadata": {"uid": uid}, "status": status});
        self.client
            .patch(&PODS, of, patch, Part::Status)
            .await
            .map(|_| ())
    }

    /// The same for a pod whose conditions others write too: theirs stay, whoever comes first.
    async fn write_beside(
        &self,
        uid: &str,
        of: (&str, &str),
        status: &Value,
    ) -> Result<(), ClientError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let pod = self.client.get(&PODS, of.0, of.1).await?;
            let version = pod.text(&["metadata", "resourceVersion"]);
            let metadata = json!({"uid": uid, "resourceVersion": version});
            let status = beside(&pod, status.clone());
            let patch = json!({"metadata": metadata, "status": status});
            match self.client.patch(&PODS, of, patch, Part::Status).await {
                Err(error) if error.is_conflict() && attempts < ATTEMPTS => {}
                written => return written.map(|_| ()),
            }
        }
    }
}

/// A status with the conditions that others put into the pod's as it is now.
fn beside(pod: &Object, mut status: Value) -> Value {
    let said = pod.get(&["status", "conditions"]).and_then(Value::as_array);
    let Some(own) = status["conditions"].as_array_mut() else {
        return status;
    };
    let is_own = |kind: &Value| OWN.iter().any(|own| kind == own);
    own.retain(|condition| is_own(&condition["type"]));
    let others = said.into_iter().flatten();
    own.extend(others.filter(|one| !is_own(&one["type"])).cloned());
    status
}

/// The conditions that the agent writes.
const OWN: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_others_said_last_stays() {
        let pod = json!({"status": {"conditions": [
            {"type": "Ready", "status": "False"}, {"type": "acme.com/open", "status": "True"}]}});
        let pod = Object::from_value(pod).unwrap();
        let told = json!({"conditions": [
            {"type": "Ready", "status": "True"}, {"type": "acme.com/open", "status": "False"}, {"type": "acme.com/gone", "status": "True"}]});
        let conditions = beside(&pod, told)["conditions"].clone();
        let wanted = json!([{"type": "Ready", "status": "True"}, {"type": "acme.com/open", "status": "True"}]);
        assert_eq!(conditions, wanted);
    }
}
