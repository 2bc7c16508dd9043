//! The access log: one structured event for each request, with target `osier::access`.

use crate::gate::Record;

/// The target of access events, for filters.
pub const ACCESS_TARGET: &str = "osier::access";

pub(crate) fn log(record: &Record<'_>) {
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
