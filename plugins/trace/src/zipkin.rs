//! One span in Zipkin's JSON, second version (<https://zipkin.io/zipkin-api/#/default/post_spans>).

use osier_plugin::serde_json::{Map, Value as Json, json};
use osier_plugin::types::{Timestamp, TraceSpanInstance, Value};

use crate::span::{context, span_id};

/// A span as Zipkin takes it; the endpoint of the other side is there if it is known.
pub(crate) fn span(span: &TraceSpanInstance) -> Json {
    let (trace, parent) = context(span);
    let source = endpoint(&span.source_name, &span.source_ip);
    let destination = endpoint(&span.destination_name, &span.destination_ip);
    let (kind, local, remote) = match span.client_span {
        true => ("CLIENT", source, destination),
        false => ("SERVER", destination, source),
    };
    let begun = micros(&span.start_time);
    let mut whole = json!({
        "id": span_id(span, &trace),
        "traceId": trace,
        "name": span.span_name,
        "kind": kind,
        "timestamp": begun,
        // Zipkin takes none of nothing.
        "duration": (micros(&span.end_time) - begun).max(1),
        "localEndpoint": local,
        "tags": tags(span),
    });
    if !parent.is_empty() {
        whole["parentId"] = parent.into();
    }
    if remote.as_object().is_some_and(|remote| !remote.is_empty()) {
        whole["remoteEndpoint"] = remote;
    }
    whole
}

fn micros(time: &Timestamp) -> i64 {
    time.seconds * 1_000_000 + i64::from(time.nanoseconds) / 1000
}

fn endpoint(name: &str, address: &str) -> Json {
    let mut endpoint = Map::new();
    if !name.is_empty() {
        endpoint.insert("serviceName".into(), name.into());
    }
    if !address.is_empty() {
        let family = if address.contains(':') {
            "ipv6"
        } else {
            "ipv4"
        };
        endpoint.insert(family.into(), address.into());
    }
    Json::Object(endpoint)
}

/// All tags of Zipkin are texts.
fn tags(span: &TraceSpanInstance) -> Map<String, Json> {
    let own = span.span_tags.iter();
    let own = own.filter(|(_, value)| !matches!(value, Value::Absent));
    let mut tags: Map<String, Json> = own
        .map(|(name, value)| (name.clone(), value.to_text().into()))
        .collect();
    let status = span.http_status_code;
    if status != 0 {
        tags.insert("http.status_code".into(), status.to_string().into());
    }
    if status == 0 || status >= 500 {
        tags.insert("error".into(), status.to_string().into());
    }
    tags
}
