//! `osier why`: what was decided about a request, as a timeline.

use super::get::aligned;
use crate::arguments::{Output, Why};
use anyhow::{Context as _, bail};
use http::Request;
use osier_api::resources;
use osier_client::{Client, Query};
use osier_process::body;
use serde_json::Value;

/// Bytes of one node's answer.
const MAX_ANSWER: usize = 4 << 20;

/// Shows what the nodes remember of a request.
pub(crate) async fn why(why: &Why) -> anyhow::Result<()> {
    let client = super::connect(&why.connection)?;
    let nodes = match &why.node {
        Some(node) => vec![node.clone()],
        None => {
            let all = client
                .list_all(&resources::NODES, "", &Query::default())
                .await?;
            all.items
                .iter()
                .map(|node| node.name().to_owned())
                .collect()
        }
    };
    let mut calls = Vec::new();
    for node in &nodes {
        calls.extend(ask(&client, node, &why.request_id).await?);
    }
    if calls.is_empty() {
        bail!(
            "no node remembers request {:?}: a node keeps its last 1,024 calls that went well and its last 1,024 that did not; \
             the id stands in the access log, and in the x-request-id header of what a node answers itself",
            why.request_id
        );
    }
    match why.output {
        Some(Output::Json) => println!("{}", serde_json::to_string_pretty(&calls)?),
        None => {
            let shown: Vec<String> = calls.iter().map(show).collect();
            print!("{}", shown.join("\n"));
        }
    }
    Ok(())
}

async fn ask(client: &Client, node: &str, request_id: &str) -> anyhow::Result<Vec<Value>> {
    let path = format!(
        "/api/v1/nodes/{node}/proxy/decisions/{}",
        escaped(request_id)
    );
    let request = Request::get(path).body(body::empty())?;
    let answer = client.raw(request).await?;
    let status = answer.status();
    let bytes = body::read(answer.into_body(), MAX_ANSWER).await?;
    let mut answer: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("node {node} answered {status} with no JSON"))?;
    if !status.is_success() {
        bail!(
            "{}",
            answer["message"].as_str().unwrap_or("the API refused")
        );
    }
    match answer["calls"].take() {
        Value::Array(calls) => Ok(calls),
        _ => Ok(Vec::new()),
    }
}

/// A path segment.
pub(super) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Who called whom.
fn heading(call: &Value) -> String {
    let text = |name: &str| call[name].as_str().unwrap_or_default();
    let from = match (text("source"), text("gateway"), text("client")) {
        ("", gateway, client) => format!("gateway {gateway} (client {client})"),
        (source, ..) => format!("pod {source}"),
    };
    let mut head = format!(
        "request {}  {}\n{} {}\nfrom {from}\n",
        text("requestId"),
        text("received"),
        text("method"),
        text("url")
    );
    if !text("destination").is_empty() {
        head.push_str(&format!(
            "to   pod {} at {}\n",
            text("destination"),
            text("endpoint")
        ));
    }
    head
}

/// One call: who and what, then what was decided.
fn show(call: &Value) -> String {
    let text = |name: &str| call[name].as_str().unwrap_or_default();
    let mut rows = vec![
        ["AT", "TOOK", "SIDE", "STEP", "RESULT"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.push(row(
        "0 us",
        "",
        "",
        "route",
        &match (text("route"), text("cluster")) {
            ("", "") => "none".to_owned(),
            (route, "") => route.to_owned(),
            (route, cluster) => format!("{route} -> {cluster}"),
        },
    ));
    rows.extend(
        call["decisions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(decision),
    );
    // What a policy refused stands in its own row.
    if !text("reason").is_empty() && matches!(text("verdict"), "" | "allow") {
        rows.push(row("", "", "", "refused", text("reason")));
    }
    let status = match call["status"].as_u64() {
        None | Some(0) => "no answer".to_owned(),
        Some(status) => format!("status {status}"),
    };
    if let Some(answered) = call["answeredMicros"].as_u64() {
        rows.push(row(&time(answered as f64), "", "", "answer", &status));
    }
    let ended = call["durationMicros"].as_f64().unwrap_or_default();
    let bytes = format!(
        "{} bytes in, {} bytes out",
        call["bytesIn"], call["bytesOut"]
    );
    let flags = match text("flags") {
        "-" | "" => String::new(),
        flags if text("verdict") == "error" => format!(", {flags}: a policy could not be decided"),
        flags => format!(", {flags}: {}", meaning(flags)),
    };
    rows.push(row(&time(ended), "", "", "end", &format!("{bytes}{flags}")));
    format!("{}\n{}", heading(call), aligned(&rows))
}

fn decision(decision: &Value) -> Vec<String> {
    let text = |name: &str| decision[name].as_str().unwrap_or_default();
    let at = decision["atMicros"].as_f64().map(time).unwrap_or_default();
    let took = match decision["cached"].as_bool() {
        Some(true) => "cached".to_owned(),
        _ => decision["tookMicros"]
            .as_f64()
            .map(time)
            .unwrap_or_default(),
    };
    let plugin = match (text("plugin"), text("template")) {
        ("", _) => String::new(),
        (plugin, "") => format!(" asks {plugin}"),
        (plugin, template) => format!(" asks {plugin} ({template})"),
    };
    let reason = match text("reason") {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    row(
        &at,
        &took,
        text("direction"),
        &format!("policy {}{plugin}", text("policy")),
        &format!("{}{reason}", text("outcome")),
    )
}

fn row(at: &str, took: &str, side: &str, step: &str, result: &str) -> Vec<String> {
    [at, took, side, step, result].map(str::to_owned).to_vec()
}

/// Microseconds as people read them.
fn time(micros: f64) -> String {
    match micros {
        micros if micros < 1e3 => format!("{micros:.0} us"),
        micros if micros < 1e6 => format!("{:.1} ms", micros / 1e3),
        micros => format!("{:.2} s", micros / 1e6),
    }
}

/// Envoy's response flags in words
/// (<https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#response-flags>).
fn meaning(flags: &str) -> &'static str {
    match flags {
        "NR" => "no route for the request",
        "NC" => "the route names a service, port or subset that does not exist",
        "UH" => "the service has no ready endpoint",
        "UF" => "no endpoint could be reached",
        "UO" => "the endpoint is overloaded",
        "UC" => "the endpoint ended the exchange early",
        "UT" => "the endpoint took too long",
        "DC" => "the caller went away",
        "UAEX" => "a policy refused",
        "RL" => "a policy refused because of a rate",
        "FI" => "a fault was injected",
        "DPE" => "the request breaks the protocol or a limit",
        _ => "see Envoy's response flags",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_is_a_timeline() {
        let shown = show(&json!({
            "requestId": "r1", "received": "2026-01-01T00:00:00Z", "method": "GET", "url": "reviews/0",
            "source": null, "gateway": "gateway", "client": "127.0.0.1:5", "route": "all", "cluster": "reviews",
            "destination": "default/reviews-v1", "endpoint": "10.0.0.2:9080", "status": 403, "flags": "UAEX",
            "answeredMicros": 1500, "durationMicros": 1600, "bytesIn": 0, "bytesOut": 3,
            "decisions": [
                {"direction": "outbound", "policy": "default/limit", "plugin": "default/rl", "template": "quota",
                 "outcome": "allow", "reason": "", "cached": true, "atMicros": 10, "tookMicros": 0.0},
                {"direction": "inbound", "policy": "default/closed", "plugin": "default/denier", "template": "checknothing",
                 "outcome": "deny", "reason": "closed today", "cached": false, "atMicros": 700, "tookMicros": 3.2},
            ],
        }));
        let wanted = "\
request r1  2026-01-01T00:00:00Z
GET reviews/0
from gateway gateway (client 127.0.0.1:5)
to   pod default/reviews-v1 at 10.0.0.2:9080

AT       TOOK     SIDE       STEP                                                       RESULT
0 us                         route                                                      all -> reviews
10 us    cached   outbound   policy default/limit asks default/rl (quota)               allow
700 us   3 us     inbound    policy default/closed asks default/denier (checknothing)   deny: closed today
1.5 ms                       answer                                                     status 403
1.6 ms                       end                                                        0 bytes in, 3 bytes out, UAEX: a policy refused
";
        assert_eq!(shown, wanted, "{shown}");
    }

    #[test]
    fn a_refusal_says_why() {
        let shown = show(
            &json!({"requestId": "r1", "method": "GET", "url": "reviews/", "source": "a/front", "status": 403,
            "flags": "NR", "verdict": "allow", "reason": "not in scope", "durationMicros": 9, "bytesIn": 0, "bytesOut": 1}),
        );
        assert!(shown.contains("refused   not in scope"), "{shown}");
    }

    #[test]
    fn an_id_is_one_segment_whatever_is_in_it() {
        assert_eq!(escaped("a/b c%"), "a%2Fb%20c%25");
    }
}
