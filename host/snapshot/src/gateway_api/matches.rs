//! `matches` of a rule.

use http::HeaderName;

use osier_routing::matcher::{Matcher, PathMatch, SourceMatch, StringMatch};
use osier_traffic::Fields;

/// The source of rules for whoever their object binds to.
pub(super) fn everywhere() -> SourceMatch {
    SourceMatch {
        mesh: true,
        gateway: true,
        ..SourceMatch::default()
    }
}

/// Reads one match of an HTTPRoute; `None` if a condition is unusable, because a rule without it would match more than was asked.
pub(super) fn http(fields: &mut Fields<'_>) -> Option<Matcher> {
    let mut usable = true;
    let path = fields.object("path").map(|mut path| self::path(&mut path));
    usable &= !matches!(path, Some(None));
    let headers = headers(fields, &mut usable);
    let query = query(fields, &mut usable);
    let method = fields.text("method");
    usable.then(|| Matcher {
        path: path.flatten(),
        method: method.map(|method| StringMatch::Exact(method.into())),
        headers,
        query,
        source: everywhere(),
        ..Matcher::default()
    })
}

fn path(path: &mut Fields<'_>) -> Option<PathMatch> {
    let value = path.text("value").unwrap_or("/");
    let text = match path.text("type") {
        Some("Exact") => Some(StringMatch::Exact(value.into())),
        Some("RegularExpression") => expression(path, value),
        _ => Some(StringMatch::segments(value)),
    };
    Some(PathMatch {
        text: text?,
        ignore_case: false,
    })
}

/// Reads `queryParams` of a match. Of several conditions on one parameter the first counts.
fn query(fields: &mut Fields<'_>, usable: &mut bool) -> Vec<(Box<str>, StringMatch)> {
    let mut query: Vec<(Box<str>, StringMatch)> = Vec::new();
    for mut condition in fields.objects("queryParams") {
        let name = condition.text("name").unwrap_or_default();
        match compared(&mut condition) {
            Some(value) if query.iter().all(|(known, _)| **known != *name) => {
                query.push((name.into(), value));
            }
            value => *usable &= value.is_some(),
        }
    }
    query
}

/// Reads `headers` of a match. Of several conditions on one header the first counts.
pub(super) fn headers(
    fields: &mut Fields<'_>,
    usable: &mut bool,
) -> Vec<(HeaderName, StringMatch)> {
    let mut headers: Vec<(HeaderName, StringMatch)> = Vec::new();
    for mut condition in fields.objects("headers") {
        let name = condition.text("name").unwrap_or_default();
        let Ok(name) = HeaderName::try_from(name) else {
            condition.invalid("name", "not a header name; this match is ignored");
            let _value = (condition.value("type"), condition.value("value"));
            *usable = false;
            continue;
        };
        match compared(&mut condition) {
            Some(value) if headers.iter().all(|(known, _)| *known != name) => {
                headers.push((name, value));
            }
            value => *usable &= value.is_some(),
        }
    }
    headers
}

fn compared(condition: &mut Fields<'_>) -> Option<StringMatch> {
    let value = condition.text("value").unwrap_or_default();
    match condition.text("type") {
        Some("RegularExpression") => expression(condition, value),
        _ => Some(StringMatch::Exact(value.into())),
    }
}

/// An expression in RE2's syntax for the whole value.
pub(super) fn expression(fields: &Fields<'_>, text: &str) -> Option<StringMatch> {
    StringMatch::whole(text)
        .map_err(|error| fields.invalid("value", format!("{error}; this match is ignored")))
        .ok()
}
