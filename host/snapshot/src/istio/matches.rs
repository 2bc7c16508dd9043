//! `http[].match[]` of a VirtualService.

use http::HeaderName;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use osier_routing::claims::{self, Way};
use osier_routing::matcher::{Matcher, PathMatch, REGEX_BYTES, SourceMatch, StringMatch};
use osier_standing::FindingKind;
use osier_traffic::Fields;

/// The reserved gateway name that stands for calls between pods.
pub(super) const MESH: &str = "mesh";

/// Reads one entry; `None` if a condition is unusable, because a rule without it would match more than was asked.
/// `of` is the object's namespace.
pub(crate) fn compile(
    fields: &mut Fields<'_>,
    everywhere: &SourceMatch,
    of: &str,
) -> Option<Matcher> {
    let mut usable = true;
    let mut string = |fields: &mut Fields<'_>, key: &'static str| {
        let path = fields.at(key);
        let value = fields.value(key)?;
        let condition = string_match(value, path, fields);
        usable &= condition.is_some();
        condition
    };
    let ignore_case = fields.flag("ignoreUriCase").unwrap_or(false);
    let path = string(fields, "uri").map(|text| PathMatch { text, ignore_case });
    let method = string(fields, "method");
    let scheme = string(fields, "scheme");
    let authority = string(fields, "authority");
    let (headers, mut claims) = header_matches(fields, ("headers", false), &mut usable);
    let (without_headers, without) = header_matches(fields, ("withoutHeaders", true), &mut usable);
    claims.extend(without);
    let query = query_matches(fields, &mut usable);
    let port = fields.number("port");
    let source = source_match(fields, everywhere, of);
    // For logs and metrics of Istio only; our names come from the rule.
    let _label = (fields.text("name"), fields.text("statPrefix"));
    usable.then_some(Matcher {
        path,
        method,
        scheme,
        authority,
        headers,
        without_headers,
        claims,
        query,
        port,
        source,
    })
}

/// Conditions on the caller: its labels and namespace, and the gateways that narrow those of the object.
pub(super) fn source_match(
    fields: &mut Fields<'_>,
    everywhere: &SourceMatch,
    of: &str,
) -> SourceMatch {
    let labels = fields.entries("sourceLabels").into_iter();
    let labels = labels
        .filter_map(|(key, _, value)| Some((key.to_owned(), value.as_str()?.to_owned())))
        .collect();
    let namespace = fields.text("sourceNamespace").map(Into::into);
    SourceMatch {
        labels,
        namespace,
        ..gateways(fields, everywhere, of)
    }
}

/// `gateways` of a match, which narrow those of the object; `of` is the object's namespace.
fn gateways(fields: &mut Fields<'_>, everywhere: &SourceMatch, of: &str) -> SourceMatch {
    let named = fields.texts("gateways");
    if named.is_empty() {
        return everywhere.clone();
    }
    let gateways = named.iter().filter(|(_, name)| *name != MESH);
    let gateways: Vec<_> = gateways.map(|(_, name)| gateway_name(name, of)).collect();
    SourceMatch {
        mesh: named.iter().any(|(_, name)| *name == MESH),
        gateway: !gateways.is_empty(),
        gateways,
        ..SourceMatch::default()
    }
}

/// `name` or `namespace/name` of a gateway, as (namespace, name).
pub(super) fn gateway_name(text: &str, namespace: &str) -> (String, String) {
    match text.split_once('/') {
        Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
        None => (namespace.to_owned(), text.to_owned()),
    }
}

/// Conditions on headers, and on what the request's token says, which stand among them.
type HeaderConditions = (
    Vec<(HeaderName, StringMatch)>,
    Vec<(Way, StringMatch, bool)>,
);

fn header_matches(
    fields: &mut Fields<'_>,
    (key, not): (&'static str, bool),
    usable: &mut bool,
) -> HeaderConditions {
    let (mut headers, mut claims) = HeaderConditions::default();
    for (name, path, value) in fields.entries(key) {
        let claim = claims::way(name);
        let header = HeaderName::try_from(name).map_err(|_| "not a header name");
        let fault = match &claim {
            Some(way) => way.as_ref().err().copied(),
            None => header.as_ref().err().copied(),
        };
        if let Some(fault) = fault {
            let words = format!("{fault}; this match is ignored");
            fields.findings().add(FindingKind::Invalid, path, words);
            *usable = false;
            continue;
        }
        match (string_match(value, path, fields), claim, header) {
            (Some(condition), Some(Ok(way)), _) => claims.push((way, condition, not)),
            (Some(condition), _, Ok(header)) => headers.push((header, condition)),
            _ => *usable = false,
        }
    }
    (headers, claims)
}

fn query_matches(fields: &mut Fields<'_>, usable: &mut bool) -> Vec<(Box<str>, StringMatch)> {
    let mut conditions = Vec::new();
    for (name, path, value) in fields.entries("queryParams") {
        match string_match(value, path, fields) {
            Some(condition) => conditions.push((name.into(), condition)),
            None => *usable = false,
        }
    }
    conditions
}

/// `{exact|prefix|regex: …}`; an empty object asks only that the value is there.
pub(super) fn string_match(
    value: &Value,
    path: String,
    parent: &Fields<'_>,
) -> Option<StringMatch> {
    let mut fields = Fields::new(value, path, parent.findings())?;
    if fields.is_empty() {
        return Some(StringMatch::Present);
    }
    if let Some(text) = fields.text("exact") {
        return Some(StringMatch::Exact(text.into()));
    }
    if let Some(text) = fields.text("prefix") {
        return Some(StringMatch::Prefix(text.into()));
    }
    let text = fields.text("regex")?;
    match StringMatch::whole(text) {
        Ok(expression) => Some(expression),
        Err(error) => {
            fields.invalid("regex", format!("{error}; this match is ignored"));
            None
        }
    }
}

/// RE2 syntax, found anywhere.
pub(crate) fn find_regex(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(REGEX_BYTES).build()
}
