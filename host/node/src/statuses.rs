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
}

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
            match self.write(&uid, of, waiting.status.clone()).await {
                Err(error) if !error.is_not_found() && !error.is_conflict() => {
                    tracing::debug!(%error, pod = waiting.name, "the pod's status will be written again");
                    self.waiting.lock().entry(uid).or_insert(waiting);
                    taken.retry();
                }
                _ => taken.succeed(),
            }
        }
    }

    /// With the uid, so that it never reaches another pod of that name. Conditions that others put there stay, as with a kubelet's patch.
    async fn write(&self, uid: &str, of: (&str, &str), status: Value) -> Result<(), ClientError> {
        let patch = json!({"metadata": {"uid": uid}, "status": patch(status)});
        let written = self.client.merge(&PODS, of, patch, Part::Status).await;
        written.map(drop)
    }
}

/// The strategic merge patch that makes a status of it: addresses are merged by key, and those that the pod had before go.
fn patch(mut status: Value) -> Value {
    for list in ["podIPs", "hostIPs"] {
        if let Some(addresses) = status[list].as_array_mut() {
            addresses.push(json!({"$patch": "replace"}));
        }
    }
    status
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use osier_api::patch::strategic;

    #[test]
    fn what_others_say_of_a_pod_stays_and_old_addresses_go() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "status": {"podIPs": [{"ip": "10.0.0.1"}], "conditions": [
            {"type": "Ready", "status": "False", "reason": "NodeLost"}, {"type": "acme.com/open", "status": "True"}]}});
        let told = json!({"podIPs": [{"ip": "10.0.0.2"}], "hostIPs": [{"ip": "10.1.0.1"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": null}]});
        let after = strategic(&PODS, &pod, &json!({"status": patch(told)})).unwrap();
        let mut conditions = after["status"]["conditions"].as_array().unwrap().clone();
        conditions.sort_by_key(|condition| condition["type"].to_string());
        let wanted = json!([{"type": "Ready", "status": "True"}, {"type": "acme.com/open", "status": "True"}]);
        assert_eq!(conditions, *wanted.as_array().unwrap());
        assert_eq!(after["status"]["podIPs"], json!([{"ip": "10.0.0.2"}]));
        assert_eq!(after["status"]["hostIPs"], json!([{"ip": "10.1.0.1"}]));
    }
}
