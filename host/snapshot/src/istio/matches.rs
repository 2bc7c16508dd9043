//! `http[].match[]` of a VirtualService.

use http::HeaderName;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::finding::FindingKind;
use crate::matcher::{Matcher, PathMatch, SourceMatch, StringMatch};
use crate::read::Fields;

/// The compiled size that one expression may take.
const REGEX_BYTES: usize = 1 << 20;

/// Reads one entry; `None` if a condition is unusable, because a rule without it would match more than was asked.
pub(crate) fn compile(fields: &mut Fields<'_>, everywhere: &SourceMatch) -> Option<Matcher> {
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
    let headers = header_matches(fields, "headers", &mut usable);
    let without_headers = header_matches(fields, "withoutHeaders", &mut usable);
    let query = query_matches(fields, &mut usable);
    let port = fields.number("port");
    let source = source_match(fields, everywhere);
    // For logs and metrics of Istio only; our names come from the rule.
    let _label = (fields.text("name"), fields.text("statPrefix"));
    usable.then_some(Matcher {
        path,
        method,
        scheme,
        authority,
        headers,
        without_headers,
        query,
        port,
        source,
    })
}

fn source_match(fields: &mut Fields<'_>, everywhere: &SourceMatch) -> SourceMatch {
    let labels = fields.entries("sourceLabels").into_iter();
    let labels = labels
        .filter_map(|(key, _, value)| Some((key.to_owned(), value.as_str()?.to_owned())))
        .collect();
    let namespace = fields.text("sourceNamespace").map(Into::into);
    let gateways: Vec<&str> = fields
        .texts("gateways")
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    let (mesh, gateway) = match gateways.as_slice() {
        [] => (everywhere.mesh, everywhere.gateway),
        names => (
            names.contains(&"mesh"),
            names.iter().any(|name| *name != "mesh"),
        ),
    };
    SourceMatch {
        labels,
        namespace,
        mesh,
        gateway,
    }
}

fn header_matches(
    fields: &mut Fields<'_>,
    key: &'static str,
    usable: &mut bool,
) -> Vec<(HeaderName, StringMatch)> {
    let mut conditions = Vec::new();
    for (name, path, value) in fields.entries(key) {
        let Ok(header) = HeaderName::try_from(name) else {
            fields.findings().add(
                FindingKind::Invalid,
                path,
                "not a header name; this match is ignored",
            );
            *usable = false;
            continue;
        };
        match string_match(value, path, fields) {
            Some(condition) => conditions.push((header, condition)),
            None => *usable = false,
        }
    }
    conditions
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
fn string_match(value: &Value, path: String, parent: &Fields<'_>) -> Option<StringMatch> {
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
    match whole_match(text) {
        Ok(regex) => Some(StringMatch::Regex(regex)),
        Err(error) => {
            fields.invalid("regex", format!("{error}; this match is ignored"));
            None
        }
    }
}

/// RE2 syntax, matched against the whole value.
fn whole_match(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(REGEX_BYTES)
        .build()
}

/// RE2 syntax, found anywhere.
pub(crate) fn find_regex(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(REGEX_BYTES).build()
}
