//! The access log: one structured event for each request and each raw connection, with target `osier::access`.

use crate::gate::Record;
use crate::source::Source;

/// The target of access events, for filters.
pub const ACCESS_TARGET: &str = "osier::access";

/// One event for a request that has ended.
pub fn log(record: &Record<'_>) {
    let source = record
        .source
        .map_or(record.gateway.unwrap_or_default(), |workload| {
            &workload.name
        });
    let destination = record.destination.map_or("", |workload| &workload.name);
    let user_agent = record
        .user_agent
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    tracing::info!(
        target: ACCESS_TARGET,
        method = %record.method,
        authority = record.uri.authority().map_or("", |authority| authority.as_str()),
        path = record.uri.path_and_query().map_or("", |path| path.as_str()),
        protocol = ?record.version,
        status = record.status,
        flags = record.flags,
        reason = Some(record.reason).filter(|reason| !reason.is_empty()),
        route = record.route,
        cluster = record.cluster,
        source,
        destination,
        peer = record.peer.map(tracing::field::display),
        verdict = record.verdict,
        policy = record.policy,
        plugin = record.plugin,
        duration_ms = record.duration.as_secs_f64() * 1e3,
        bytes_in = record.request_bytes,
        bytes_out = record.response_bytes,
        request_id = record.request_id,
        user_agent,
    );
}

/// One event for a raw connection that has ended.
pub(crate) fn tunnelled(record: &Record<'_>, from: &Source) {
    let listener = match from {
        Source::Gateway { listener, .. } => Some(listener),
        Source::Pod(_) | Source::Mesh(_) => None,
    };
    tracing::info!(
        target: ACCESS_TARGET,
        protocol = "tcp",
        source = &*from.name(),
        listener = listener.map(tracing::field::display),
        server_name = record.server_name.unwrap_or_default(),
        peer = record.peer.map(tracing::field::display),
        route = record.route,
        cluster = record.cluster,
        flags = record.flags,
        reason = record.reason,
        verdict = record.verdict,
        policy = record.policy,
        plugin = record.plugin,
        duration_ms = record.duration.as_secs_f64() * 1e3,
        bytes_in = record.request_bytes,
        bytes_out = record.response_bytes,
        request_id = record.request_id,
    );
}
