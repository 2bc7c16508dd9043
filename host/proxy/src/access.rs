//! The access log: one structured event for each request and each raw connection, with target `osier::access`.

use std::sync::Arc;
use std::time::Duration;

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

/// What is told of a raw connection.
pub(crate) struct Tunnelled<'a> {
    pub(crate) source: &'a Source,
    pub(crate) server_name: &'a str,
    pub(crate) route: Arc<str>,
    pub(crate) cluster: Arc<str>,
    pub(crate) flags: &'static str,
    /// Why it did not end as both sides wanted; empty if it did.
    pub(crate) reason: String,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) duration: Duration,
}

impl<'a> Tunnelled<'a> {
    /// One of which nothing is known yet.
    pub(crate) fn new(source: &'a Source) -> Self {
        Self {
            source,
            server_name: "",
            route: Arc::from(""),
            cluster: Arc::from(""),
            flags: "-",
            reason: String::new(),
            received: 0,
            sent: 0,
            duration: Duration::ZERO,
        }
    }
}

/// One event for a raw connection that has ended.
pub(crate) fn tunnelled(it: &Tunnelled<'_>) {
    let source = it.source.name();
    let listener = match it.source {
        Source::Gateway { listener, .. } => Some(listener),
        Source::Pod(_) | Source::Mesh(_) => None,
    };
    tracing::info!(
        target: ACCESS_TARGET,
        protocol = "tcp",
        source = &*source,
        listener = listener.map(tracing::field::display),
        server_name = it.server_name,
        peer = it.source.address().map(tracing::field::display),
        route = &*it.route,
        cluster = &*it.cluster,
        flags = it.flags,
        reason = it.reason,
        duration_ms = it.duration.as_secs_f64() * 1e3,
        bytes_in = it.received,
        bytes_out = it.sent,
    );
}
