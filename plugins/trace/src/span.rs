//! One span in OTLP's JSON (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).

use osier_plugin::serde_json::{Value as Json, json};
use osier_plugin::types::{Timestamp, TraceSpanInstance, Value};

/// A span as a whole `ExportTraceServiceRequest`, so that each line can be sent to a collector as it is.
pub(crate) fn otlp(span: &TraceSpanInstance) -> Json {
    export(std::slice::from_ref(span))
}

/// Spans as one `ExportTraceServiceRequest`.
pub(crate) fn export(spans: &[TraceSpanInstance]) -> Json {
    json!({"resourceSpans": spans.iter().map(resource).collect::<Vec<_>>()})
}

fn resource(span: &TraceSpanInstance) -> Json {
    let (trace, parent) = context(span);
    let service = match span.client_span {
        true => &span.source_name,
        false => &span.destination_name,
    };
    let failed = span.http_status_code >= 500 || span.http_status_code == 0;
    json!({
        "resource": {"attributes": [attribute("service.name", text(service))]},
        "scopeSpans": [{"scope": {"name": "osier"}, "spans": [{
            "traceId": trace,
            "spanId": span_id(span, &trace),
            "parentSpanId": parent,
            "name": span.span_name,
            // SPAN_KIND_CLIENT and SPAN_KIND_SERVER
            "kind": if span.client_span { 3 } else { 2 },
            "startTimeUnixNano": nanoseconds(&span.start_time),
            "endTimeUnixNano": nanoseconds(&span.end_time),
            "attributes": attributes(span),
            // STATUS_CODE_UNSET and STATUS_CODE_ERROR
            "status": {"code": if failed { 2 } else { 0 }},
        }]}],
    })
}

/// The trace and the parent span: from a `traceparent` (<https://www.w3.org/TR/trace-context/>), from plain ids, or made of any other text.
pub(crate) fn context(span: &TraceSpanInstance) -> (String, String) {
    let given = span.trace_id.trim();
    if let ["00", trace, parent, _] = given.split('-').collect::<Vec<_>>()[..]
        && is_id(trace, 32)
        && is_id(parent, 16)
    {
        return (trace.to_owned(), parent.to_owned());
    }
    let parent = match is_id(&span.parent_span_id, 16) {
        true => span.parent_span_id.clone(),
        false => String::new(),
    };
    let trace = match given.len() {
        32 if is_id(given, 32) => given.to_owned(),
        // B3 allows half of it.
        16 if is_id(given, 16) => format!("{:0>32}", given),
        _ => format!("{:016x}{:016x}", hash(given, 1), hash(given, 2)),
    };
    (trace, parent)
}

pub(crate) fn span_id(span: &TraceSpanInstance, trace: &str) -> String {
    if is_id(&span.span_id, 16) {
        return span.span_id.clone();
    }
    let what = format!(
        "{trace}{}{}{}{}",
        span.span_name,
        nanoseconds(&span.start_time),
        span.client_span,
        span.source_name
    );
    format!("{:016x}", hash(&what, 3))
}

/// Lower-case hexadecimal digits, not all zero.
fn is_id(text: &str, length: usize) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == length && text.bytes().all(digit) && text.bytes().any(|byte| byte != b'0')
}

/// FNV-1a, begun differently for each use.
fn hash(text: &str, salt: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    text.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn nanoseconds(time: &Timestamp) -> String {
    (i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds)).to_string()
}

fn attributes(span: &TraceSpanInstance) -> Vec<Json> {
    let mut all = Vec::new();
    for (name, value) in [
        ("source.name", &span.source_name),
        ("source.address", &span.source_ip),
        ("destination.name", &span.destination_name),
        ("destination.address", &span.destination_ip),
        ("network.protocol.name", &span.api_protocol),
    ] {
        if !value.is_empty() {
            all.push(attribute(name, text(value)));
        }
    }
    for (name, value) in [
        ("http.response.status_code", span.http_status_code),
        ("http.request.body.size", span.request_size),
        ("http.response.body.size", span.response_size),
    ] {
        all.push(attribute(name, json!({"intValue": value.to_string()})));
    }
    for (name, value) in &span.span_tags {
        match value {
            Value::Absent => {}
            Value::Integer(number) => {
                all.push(attribute(name, json!({"intValue": number.to_string()})));
            }
            Value::Number(number) => all.push(attribute(name, json!({"doubleValue": number}))),
            Value::Boolean(value) => all.push(attribute(name, json!({"boolValue": value}))),
            other => all.push(attribute(name, text(&other.to_text()))),
        }
    }
    all
}

fn attribute(name: &str, value: Json) -> Json {
    json!({"key": name, "value": value})
}

fn text(value: &str) -> Json {
    json!({"stringValue": value})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(trace_id: &str) -> TraceSpanInstance {
        let at = |seconds| Timestamp {
            seconds,
            nanoseconds: 5,
        };
        TraceSpanInstance {
            trace_id: trace_id.into(),
            span_id: String::new(),
            parent_span_id: String::new(),
            span_name: "reviews".into(),
            start_time: at(1),
            end_time: at(2),
            span_tags: vec![("user".into(), Value::Text("eve".into()))],
            http_status_code: 200,
            client_span: true,
            source_name: "web".into(),
            source_ip: String::new(),
            destination_name: "reviews".into(),
            destination_ip: String::new(),
            request_size: 1,
            response_size: 2,
            api_protocol: "http".into(),
        }
    }

    fn only(json: &Json) -> Json {
        json["resourceSpans"][0]["scopeSpans"][0]["spans"][0].clone()
    }

    #[test]
    fn a_traceparent_gives_trace_and_parent() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let span = only(&otlp(&span(parent)));
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!(span["startTimeUnixNano"], "1000000005");
        assert_eq!(span["kind"], 3);
    }

    #[test]
    fn any_text_gives_the_same_trace_each_time() {
        let (a, b) = (context(&span("request-1")), context(&span("request-1")));
        assert_eq!(a, b);
        assert!(is_id(&a.0, 32) && a != context(&span("request-2")));
        assert_eq!(context(&span("00f067aa0ba902b7")).0.len(), 32);
        assert!(is_id(&span_id(&span("x"), "t"), 16));
    }
}
