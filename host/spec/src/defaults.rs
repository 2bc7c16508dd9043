//! What the standard templates' fields are when a policy does not say: the obvious attribute.

/// Interface, field, expression.
const DEFAULTS: &[(&str, &str, &str)] = &[
    (
        "authorization",
        "subject.user",
        "source.principal.orValue(request.auth.principal.orValue(''))",
    ),
    (
        "authorization",
        "action.namespace",
        "destination.service.namespace.orValue(destination.namespace.orValue(''))",
    ),
    (
        "authorization",
        "action.service",
        "destination.service.name.orValue('')",
    ),
    ("authorization", "action.method", "request.method"),
    ("authorization", "action.path", "request.url_path"),
    (
        "apikey",
        "api",
        "api.service.orValue(destination.service.host.orValue(''))",
    ),
    ("apikey", "api-version", "api.version.orValue('')"),
    (
        "apikey",
        "api-operation",
        "api.operation.orValue(request.method + ' ' + request.url_path)",
    ),
    ("apikey", "api-key", "request.api_key.orValue('')"),
    ("apikey", "timestamp", "request.time"),
    (
        "authentication",
        "credential",
        "request.headers['authorization'].orValue('')",
    ),
    ("quota", "amount", "1"),
    ("quota", "best-effort", "false"),
    ("quota", "deduplication-id", "request.id"),
    ("settlement", "deduplication-id", "request.id"),
    ("metric", "value", "1"),
    ("metric", "timestamp", "context.time"),
    ("metric", "monitored-resource-type", "''"),
    ("logentry", "timestamp", "request.time"),
    ("logentry", "severity", "'Info'"),
    ("logentry", "monitored-resource-type", "''"),
    (
        "tracespan",
        "trace-id",
        "request.headers['traceparent'].or(request.headers['x-b3-traceid']).orValue(request.id)",
    ),
    ("tracespan", "span-id", "''"),
    (
        "tracespan",
        "parent-span-id",
        "request.headers['x-b3-spanid'].orValue('')",
    ),
    (
        "tracespan",
        "span-name",
        "destination.service.host.orValue(request.host)",
    ),
    ("tracespan", "start-time", "request.time"),
    ("tracespan", "end-time", "context.time"),
    ("tracespan", "http-status-code", "response.code.orValue(0)"),
    (
        "tracespan",
        "client-span",
        "context.reporter.kind == 'outbound'",
    ),
    (
        "tracespan",
        "source-name",
        "source.workload.name.orValue('')",
    ),
    (
        "tracespan",
        "source-ip",
        "has(source.ip) ? string(source.ip) : ''",
    ),
    (
        "tracespan",
        "destination-name",
        "destination.workload.name.orValue(destination.service.name.orValue(''))",
    ),
    (
        "tracespan",
        "destination-ip",
        "has(destination.ip) ? string(destination.ip) : ''",
    ),
    ("tracespan", "request-size", "request.size.orValue(0)"),
    ("tracespan", "response-size", "response.size.orValue(0)"),
    (
        "tracespan",
        "api-protocol",
        "api.protocol.orValue(context.protocol)",
    ),
    ("kubernetes", "source-uid", "source.uid.orValue('')"),
    (
        "kubernetes",
        "source-ip",
        "has(source.ip) ? string(source.ip) : ''",
    ),
    (
        "kubernetes",
        "destination-uid",
        "destination.uid.orValue('')",
    ),
    (
        "kubernetes",
        "destination-ip",
        "has(destination.ip) ? string(destination.ip) : ''",
    ),
    (
        "kubernetes",
        "destination-port",
        "destination.port.orValue(0)",
    ),
    ("edge", "timestamp", "request.time"),
    (
        "edge",
        "source-workload-namespace",
        "source.workload.namespace.orValue('')",
    ),
    (
        "edge",
        "source-workload-name",
        "source.workload.name.orValue('')",
    ),
    ("edge", "source-owner", "source.owner.orValue('')"),
    ("edge", "source-uid", "source.uid.orValue('')"),
    (
        "edge",
        "destination-workload-namespace",
        "destination.workload.namespace.orValue('')",
    ),
    (
        "edge",
        "destination-workload-name",
        "destination.workload.name.orValue('')",
    ),
    ("edge", "destination-owner", "destination.owner.orValue('')"),
    ("edge", "destination-uid", "destination.uid.orValue('')"),
    (
        "edge",
        "destination-service-namespace",
        "destination.service.namespace.orValue('')",
    ),
    (
        "edge",
        "destination-service-name",
        "destination.service.name.orValue('')",
    ),
    ("edge", "context-protocol", "context.protocol"),
    ("edge", "api-protocol", "api.protocol.orValue('')"),
];

/// The expression for a field of a standard template that a policy leaves out.
pub fn default_expression(template: &str, field: &str) -> Option<&'static str> {
    DEFAULTS
        .iter()
        .find(|(name, path, _)| *name == template && *path == field)
        .map(|(_, _, expression)| *expression)
}
