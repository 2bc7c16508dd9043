//! `corsPolicy` of a VirtualService's route.

use http::HeaderValue;

use super::matches::string_match;
use osier_routing::cors::CorsPolicy;
use osier_routing::matcher::StringMatch;
use osier_traffic::Fields;

pub(super) fn compile(fields: &mut Fields<'_>) -> CorsPolicy {
    CorsPolicy {
        origins: origins(fields),
        credentials: fields.flag("allowCredentials").unwrap_or(false),
        methods: joined(fields, "allowMethods"),
        headers: joined(fields, "allowHeaders"),
        expose: joined(fields, "exposeHeaders"),
        max_age: fields
            .duration("maxAge")
            .map(|time| HeaderValue::from(time.as_secs())),
        ignore_unmatched: ignores_unmatched(fields),
    }
}

/// `allowOrigins`, and the list of exact names that was there before it. One that cannot be read allows nobody.
fn origins(fields: &mut Fields<'_>) -> Vec<StringMatch> {
    let mut allowed = Vec::new();
    for (path, value) in fields.list("allowOrigins") {
        allowed.extend(string_match(value, path, fields));
    }
    let exact = fields.texts("allowOrigin").into_iter();
    allowed.extend(exact.map(|(_, text)| StringMatch::Exact(text.into())));
    allowed
}

fn joined(fields: &mut Fields<'_>, key: &'static str) -> Option<HeaderValue> {
    let texts = fields.texts(key);
    let words: Vec<&str> = texts.iter().map(|(_, text)| *text).collect();
    if words.is_empty() {
        return None;
    }
    let value = HeaderValue::from_str(&words.join(",")).ok();
    if value.is_none() {
        fields.invalid(key, "does not fit into a header; it is ignored");
    }
    value
}

fn ignores_unmatched(fields: &mut Fields<'_>) -> bool {
    match fields.text("unmatchedPreflights") {
        Some("IGNORE") => true,
        None | Some("FORWARD" | "UNSPECIFIED") => false,
        Some(_) => {
            let detail = "must be FORWARD or IGNORE; such preflights go on";
            fields.invalid("unmatchedPreflights", detail);
            false
        }
    }
}
