//! `osier logs`: what the containers of a pod wrote, as it comes.

use super::why::escaped;
use crate::arguments::Logs;
use crate::output;
use anyhow::{anyhow, bail};
use http::Request;
use http_body_util::BodyExt as _;
use osier_process::body;
use serde_json::Value;

/// Bytes of a refusal.
const MAX_REFUSAL: usize = 1 << 20;

/// Prints a log; with `--follow` until the container ends.
pub(crate) async fn logs(logs: &Logs) -> anyhow::Result<()> {
    let client = super::connect(&logs.connection)?;
    let pod = logs.pod.strip_prefix("pod/").unwrap_or(&logs.pod);
    if pod.contains('/') {
        bail!("{pod}: name a pod; `osier get pods` lists them");
    }
    let namespace = &logs.connection.namespace;
    let wanted = wanted(logs);
    let pairs = wanted
        .iter()
        .map(|(key, value)| format!("{key}={}", escaped(value)));
    let query = pairs.collect::<Vec<_>>().join("&");
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}/log?{query}",
        escaped(namespace),
        escaped(pod)
    );
    let request = Request::get(path).body(body::empty())?;
    let answer = client.raw(request).await?;
    if !answer.status().is_success() {
        let status = answer.status();
        let bytes = body::read(answer.into_body(), MAX_REFUSAL).await?;
        let refusal: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let words = refusal["message"].as_str().map(str::to_owned);
        bail!(words.unwrap_or_else(|| format!("the API answered {status}")));
    }
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| anyhow!("the log of {pod} broke off: {error}"))?;
        if let Some(bytes) = frame.data_ref() {
            output::bytes(bytes);
        }
    }
    Ok(())
}

fn wanted(logs: &Logs) -> Vec<(&'static str, String)> {
    let flag = |name, set: bool| set.then(|| (name, "true".to_owned()));
    let mut wanted: Vec<(&str, String)> = [
        flag("follow", logs.follow),
        flag("previous", logs.previous),
        flag("timestamps", logs.timestamps),
    ]
    .into_iter()
    .flatten()
    .collect();
    wanted.extend(logs.container.clone().map(|name| ("container", name)));
    wanted.extend(logs.tail.map(|lines| ("tailLines", lines.to_string())));
    wanted
}
