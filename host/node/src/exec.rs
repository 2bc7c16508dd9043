//! `kubectl exec`: runs something beside a container, in the container's sandbox: with its environment, its volumes and its limits.

mod console;

use std::sync::Arc;

use http::{Request, Response};
use osier_api::{Object, Status};
use osier_kubelet::ExecOptions;
use osier_process::body::Body;
use osier_streams::Upgrade;
use osier_streams::remote_command::{self, PROTOCOLS, Wanted};

use crate::beside::prepare;
use crate::live::LiveContainer;
use crate::pod::Shared;

pub(crate) use console::status;

/// Answers that the connection changes, and runs the command over what it becomes.
pub(crate) async fn begin(
    shared: &Arc<Shared>,
    (pod, name): (&Object, &str),
    options: ExecOptions,
    question: Request<Body>,
) -> Result<Response<Body>, Status> {
    let agreed = Upgrade::agree_channels(question.headers(), &PROTOCOLS);
    let live = find(shared, (pod, name))?;
    let wanted = wanted(&options);
    let prepared = prepare(&shared.components, &live, options.command).await?;
    let serve = move |connection, transport| async move {
        remote_command::serve(connection, transport, wanted, |streams| {
            console::run(prepared, streams, (wanted, live.stop.clone()))
        })
        .await
    };
    shared.sessions.begin(("exec", agreed), question, serve)
}

/// The container that a session is with.
pub(crate) fn find(
    shared: &Shared,
    (pod, name): (&Object, &str),
) -> Result<Arc<LiveContainer>, Status> {
    let live = shared.live.find(pod.uid(), name);
    live.ok_or_else(|| {
        let (namespace, of) = (pod.namespace(), pod.name());
        Status::bad_request(format!(
            "container {name} of pod {namespace}/{of} does not run now: `kubectl describe pod {of} -n {namespace}` says why"
        ))
    })
}

/// The streams that are asked for.
pub(crate) fn wanted(options: &ExecOptions) -> Wanted {
    Wanted {
        stdin: options.stdin,
        stdout: options.stdout,
        stderr: options.stderr,
        tty: options.tty,
    }
}
