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
    (
        "apikey",
        "api-key",
        "request.api_key.orValue(request.headers['x-api-key'].orValue(''))",
    ),
    ("apikey", "timestamp", "request.time"),
    ("quota", "amount", "1"),
    ("quota", "best-effort", "false"),
    ("quota", "deduplication-id", "request.id"),
];

/// The expression for a field of a standard template that a policy leaves out.
pub(crate) fn default_expression(template: &str, field: &str) -> Option<&'static str> {
    DEFAULTS
        .iter()
        .find(|(name, path, _)| *name == template && *path == field)
        .map(|(_, _, expression)| *expression)
}
