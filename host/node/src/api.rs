//! The node agent's own API: answers what the API server asks (`osier_kubelet`), of this process or over mutual TLS.

use std::sync::Arc;

use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use osier_api::{Object, Status};
use osier_client::Informer;
use osier_decisions::Decisions;
use osier_kubelet::{LogOptions, PodKey, Question, json, refusal, text};
use osier_logs::Standing;
use osier_process::body::Body;
use osier_process::{Boxed, clock};
use osier_proxy::Agent;
use serde_json::{Value, json};

use crate::pod::Shared;
use crate::{attach, exec, port_forward};
use osier_life::kept;

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Answers questions about this node. Clones share the node.
#[derive(Clone)]
pub(crate) struct AgentApi {
    shared: Arc<Shared>,
    pods: Arc<Informer>,
    decisions: Arc<Decisions>,
}

impl Agent for AgentApi {
    fn call(&self, question: Request<Body>) -> Boxed<'static, Response<Body>> {
        let this = self.clone();
        Box::pin(async move {
            let answer = this.answer(question).await;
            answer.unwrap_or_else(|status| refusal(&status))
        })
    }
}

impl AgentApi {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        pods: &Arc<Informer>,
        decisions: Arc<Decisions>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            pods: Arc::clone(pods),
            decisions,
        }
    }

    async fn answer(&self, question: Request<Body>) -> Result<Response<Body>, Status> {
        let (path, query) = (question.uri().path(), question.uri().query());
        let node = self.shared.settings.node_name.as_str();
        let asked = Question::read(path, query.unwrap_or_default(), clock::now())?;
        match asked {
            Question::Logs {
                pod,
                container,
                options,
            } => self.log(&pod, &container, options).await,
            Question::Exec {
                pod,
                container,
                options,
            } => {
                let pod = self.pod(&pod)?;
                exec::begin(&self.shared, (&pod, &container), options, question).await
            }
            Question::Attach {
                pod,
                container,
                options,
            } => {
                let pod = self.pod(&pod)?;
                attach::begin(&self.shared, (&pod, &container), &options, question)
            }
            Question::PortForward(pod) => {
                let pod = self.pod(&pod)?;
                port_forward::begin(&self.shared, &pod, question)
            }
            Question::Summary => Ok(json(&self.shared.meters.summary(node))),
            Question::Decisions(id) => {
                let calls = self.decisions.find(&id);
                Ok(json(
                    &json!({"requestId": id, "node": node, "calls": calls}),
                ))
            }
        }
    }

    /// The pod, and no other that has its name.
    fn pod(&self, wanted: &PodKey) -> Result<Arc<Object>, Status> {
        let pod = self.pods.get(&wanted.namespace, &wanted.name);
        let pod = pod.filter(|pod| pod.uid() == wanted.uid);
        pod.ok_or_else(|| {
            let (namespace, name) = (&wanted.namespace, &wanted.name);
            let words = format!("pod {namespace}/{name} is not known on this node yet, or no more");
            Status::unavailable(words)
        })
    }

    async fn log(
        &self,
        wanted: &PodKey,
        container: &str,
        options: LogOptions,
    ) -> Result<Response<Body>, Status> {
        let pod = self.pod(wanted)?;
        let standing = standing(&kept::status(&pod), container);
        let container = (container, &standing);
        let log = self.shared.logs.read(&pod, container, options).await?;
        Ok(text(log))
    }
}

/// What of a container's status its log depends on.
fn standing(status: &Value, name: &str) -> Standing {
    let lists =
        ["initContainerStatuses", "containerStatuses"].map(|field| status[field].as_array());
    let mut all = lists.into_iter().flatten().flatten();
    let Some(container) = all.find(|container| container["name"] == name) else {
        return Standing::default();
    };
    let (state, last) = (&container["state"], &container["lastState"]["terminated"]);
    let waiting = state["waiting"]["reason"].as_str().map(str::to_owned);
    // What ended was a part of what runs: an instance of a pool, which was replaced.
    let same = state["running"].is_object() && last["containerID"] == container["containerID"];
    let finished = last["finishedAt"].as_str().filter(|_| same);
    let finished = finished.and_then(|at| at.parse::<Timestamp>().ok());
    // The status tells seconds.
    let replaced = finished.and_then(|at| at.checked_add(SECOND).ok());
    Standing { waiting, replaced }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_was_replaced_ended_while_its_container_runs() {
        let status = |id: &str, state: Value| {
            let last =
                json!({"terminated": {"containerID": "a", "finishedAt": "2026-01-01T00:00:00Z"}});
            json!({"containerStatuses": [
                {"name": "web", "containerID": id, "state": state, "lastState": last}]})
        };
        let running = json!({"running": {}});
        let replaced = standing(&status("a", running.clone()), "web").replaced;
        assert_eq!(replaced, "2026-01-01T00:00:01Z".parse().ok());
        assert_eq!(standing(&status("b", running), "web"), Standing::default());
        let waiting = json!({"waiting": {"reason": "ImagePullBackOff"}});
        let waiting = standing(&status("a", waiting), "web");
        assert_eq!(waiting.waiting.as_deref(), Some("ImagePullBackOff"));
        assert_eq!(waiting.replaced, None);
    }
}
