//! `envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs`: what became of requests and connections, for report policies and settled
//! quotas (<https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/accesslog/v3/als.proto>). The name of the log says whose policies are told:
//! `NAMESPACE` or `NAMESPACE/SERVICE`.

use std::collections::HashMap;

use osier_policy::PolicySet;
use osier_review::{Phase, Question};
use tonic::Status;

use crate::concern::Concern;
use crate::messages::{
    Common, HttpEntry, RequestProperties, ResponseProperties, StreamAccessLogsMessage, TcpEntry,
};
use crate::stated::{Stated, protocol};

/// `envoy.config.core.v3.RequestMethod`.
const METHODS: [&str; 10] = [
    "", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// Tells the policies of every entry of a message.
pub(crate) fn tell(
    policies: &PolicySet,
    concern: &Concern,
    message: &StreamAccessLogsMessage,
) -> Result<(), Status> {
    let http = message.http_logs.iter().flat_map(|logs| &logs.log_entry);
    let tcp = message.tcp_logs.iter().flat_map(|logs| &logs.log_entry);
    for stated in http.map(of_request).chain(tcp.map(of_connection)) {
        let recorded = stated.read(policies.vocabulary())?;
        let question = Question::about(concern.direction, concern.place(), Phase::Report, recorded);
        question.ask(policies, policies.vocabulary());
    }
    Ok(())
}

fn of_request(entry: &HttpEntry) -> Stated {
    let mut stated = Stated::default();
    if let Some(properties) = &entry.common_properties {
        common(&mut stated, properties);
        stated.span("response.duration", lasted(properties));
    }
    if let Some(properties) = &entry.request {
        request(&mut stated, properties);
    }
    if let Some(properties) = &entry.response {
        response(&mut stated, properties);
    }
    stated
}

fn of_connection(entry: &TcpEntry) -> Stated {
    let mut stated = Stated::default();
    stated.text("context.protocol", "tcp");
    stated.text("connection.event", "close");
    if let Some(properties) = &entry.common_properties {
        common(&mut stated, properties);
        stated.span("connection.duration", lasted(properties));
        stated.text("connection.id", &properties.stream_id);
    }
    if let Some(connection) = &entry.connection_properties {
        stated.int("connection.received.bytes_total", connection.received_bytes);
        stated.int("connection.sent.bytes_total", connection.sent_bytes);
    }
    stated
}

fn lasted(properties: &Common) -> Option<&crate::messages::Duration> {
    let whole = properties.duration.as_ref();
    whole.or(properties.time_to_last_downstream_tx_byte.as_ref())
}

fn common(stated: &mut Stated, properties: &Common) {
    stated.address("source.ip", properties.downstream_remote_address.as_ref());
    let port = stated.address(
        "destination.ip",
        properties.upstream_remote_address.as_ref(),
    );
    if let Some(port) = port {
        stated.int("destination.port", port);
    }
    stated.text("request.id", &properties.stream_id);
    stated.time("request.time", properties.start_time.as_ref());
    if let Some(flags) = &properties.response_flags {
        stated.text("context.proxy_error_code", &flags.words().join(","));
    }
    let Some(tls) = &properties.tls_properties else {
        return;
    };
    stated.text("connection.requested_server_name", &tls.tls_sni_hostname);
    let names = tls.peer_certificate_properties.iter();
    let mut names = names.flat_map(|shown| &shown.subject_alt_name);
    let identity = names.find(|name| !name.uri.is_empty());
    stated.flag("connection.mtls", identity.is_some());
    if let Some(name) = identity {
        stated.principal("source", &name.uri);
    }
}

fn request(stated: &mut Stated, properties: &RequestProperties) {
    let method = usize::try_from(properties.request_method).ok();
    let method = method.and_then(|place| METHODS.get(place));
    stated.text("request.method", method.unwrap_or(&""));
    stated.text("request.scheme", &properties.scheme);
    stated.text("request.host", &properties.authority);
    // The path as the client wrote it, which checks saw, if a route rewrote it.
    stated.text("request.path", &properties.path);
    stated.text("request.path", &properties.original_path);
    stated.text("request.id", &properties.request_id);
    let mut headers = properties.request_headers.clone();
    add(&mut headers, "user-agent", &properties.user_agent);
    add(&mut headers, "referer", &properties.referer);
    stated.text("context.protocol", protocol(&headers));
    stated.texts("request.headers", &headers);
    stated.int("request.size", properties.request_body_bytes);
    let total = properties
        .request_headers_bytes
        .saturating_add(properties.request_body_bytes);
    stated.int("request.total_size", total);
}

fn response(stated: &mut Stated, properties: &ResponseProperties) {
    if let Some(code) = &properties.response_code {
        stated.int("response.code", code.value);
    }
    stated.texts("response.headers", &properties.response_headers);
    stated.int("response.size", properties.response_body_bytes);
    let total = properties
        .response_headers_bytes
        .saturating_add(properties.response_body_bytes);
    stated.int("response.total_size", total);
    let told = [&properties.response_trailers, &properties.response_headers];
    for (attribute, name) in [
        ("response.grpc_status", "grpc-status"),
        ("response.grpc_message", "grpc-message"),
    ] {
        let found = told.iter().find_map(|headers| headers.get(name));
        stated.text(attribute, found.map_or("", String::as_str));
    }
}

fn add(headers: &mut HashMap<String, String>, name: &str, value: &str) {
    if !value.is_empty() {
        headers
            .entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
    }
}
