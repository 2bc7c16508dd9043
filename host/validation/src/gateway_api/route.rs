//! Routes: parents, hosts, matches, filters.

use super::super::at::{At, unique};
use super::super::names;
use super::hostname;
use osier_api::{Fault, duration};

/// The field of each type of filter, and whether a rule may have it once only.
const FILTERS: [(&str, &str, bool); 7] = [
    ("RequestHeaderModifier", "requestHeaderModifier", true),
    ("ResponseHeaderModifier", "responseHeaderModifier", true),
    ("RequestMirror", "requestMirror", false),
    ("RequestRedirect", "requestRedirect", true),
    ("URLRewrite", "urlRewrite", true),
    ("CORS", "cors", true),
    ("ExtensionRef", "extensionRef", false),
];

pub(super) fn http(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = common(spec);
    for rule in spec.at("rules").items() {
        for condition in rule.at("matches").items() {
            faults.extend(path(&condition.at("path")));
            faults.extend(condition.at("headers").items().iter().flat_map(header));
            faults.extend(expressions(&condition.at("queryParams")));
        }
        faults.extend(filters(&rule));
        faults.extend(exclusive(&rule));
        faults.extend(prefixes(&rule));
        faults.extend(times(&rule));
        faults.extend(session(&rule.at("sessionPersistence")));
        faults.extend(backends(&rule));
    }
    faults
}

pub(super) fn grpc(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = common(spec);
    for rule in spec.at("rules").items() {
        for condition in rule.at("matches").items() {
            let method = condition.at("method");
            let parts = [method.at("service"), method.at("method")];
            if method.is_present() && !parts.iter().any(At::is_set) {
                faults.push(
                    method.required("one or both of 'service' or 'method' must be specified"),
                );
            }
            if method.at("type").text() == "RegularExpression" {
                faults.extend(parts.iter().filter_map(expression));
            }
            faults.extend(condition.at("headers").items().iter().flat_map(header));
        }
        faults.extend(filters(&rule));
        faults.extend(session(&rule.at("sessionPersistence")));
        faults.extend(backends(&rule));
    }
    faults
}

pub(super) fn streams(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = common(spec);
    faults.extend(spec.at("rules").items().iter().flat_map(backends));
    faults
}

/// What every kind of route has.
fn common(spec: &At<'_>) -> Vec<Fault> {
    let hosts = spec.at("hostnames").items();
    let mut faults: Vec<Fault> = hosts.iter().flat_map(|host| host.name(hostname)).collect();
    for parent in spec.at("parentRefs").items() {
        faults.extend(parent.at("name").name(|_| Vec::new()));
        faults.extend(parent.at("namespace").optional_name(names::label));
    }
    faults.extend(unique(spec.at("parentRefs").items()));
    faults.extend(unique(
        spec.at("rules").items().iter().map(|rule| rule.at("name")),
    ));
    faults
}

fn backends(rule: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for backend in rule.at("backendRefs").items() {
        faults.extend(service_port(&backend));
        faults.extend(filters(&backend));
    }
    faults
}

fn service_port(backend: &At<'_>) -> Vec<Fault> {
    let service = backend.at("group").text().is_empty() && backend.at("kind").text() == "Service";
    let mut faults = backend.at("name").name(|_| Vec::new());
    faults.extend(backend.at("namespace").optional_name(names::label));
    if service && !backend.at("port").is_present() {
        faults.push(
            backend
                .at("port")
                .required("must have port for Service reference"),
        );
    }
    faults
}

fn path(path: &At<'_>) -> Vec<Fault> {
    let value = path.at("value");
    let text = value.text();
    if path.at("type").text() == "RegularExpression" {
        return expression(&value).into_iter().collect();
    }
    let mut faults = Vec::new();
    if !text.starts_with('/') {
        faults.push(value.invalid("value must be an absolute path and start with '/'"));
    }
    let odd = ["//", "/./", "/../", "%2f", "%2F", "#"];
    let ends = ["/..", "/."];
    for part in odd.iter().filter(|part| text.contains(**part)) {
        faults.push(value.invalid(format!("must not contain {part:?}")));
    }
    for part in ends.iter().filter(|part| text.ends_with(**part)) {
        faults.push(value.invalid(format!("must not end with {part:?}")));
    }
    faults
}

fn header(header: &At<'_>) -> Vec<Fault> {
    let name = header.at("name").text();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let mut faults = Vec::new();
    if name.is_empty() || !name.bytes().all(token) {
        faults.push(header.at("name").invalid("must be a header name"));
    }
    if header.at("type").text() == "RegularExpression" {
        faults.extend(expression(&header.at("value")));
    }
    faults
}

fn expressions(list: &At<'_>) -> Vec<Fault> {
    let all = list.items().into_iter();
    let all = all.filter(|one| one.at("type").text() == "RegularExpression");
    all.filter_map(|one| expression(&one.at("value"))).collect()
}

fn expression(value: &At<'_>) -> Option<Fault> {
    let error = regex::Regex::new(value.text()).err()?;
    Some(value.invalid(format!("must be a regular expression: {error}")))
}

/// Each filter has the field of its type and no other, and those that cannot be repeated are not.
fn filters(rule: &At<'_>) -> Vec<Fault> {
    let filters = rule.at("filters");
    let mut faults = Vec::new();
    for filter in filters.items() {
        let kind = filter.at("type").text();
        for (name, field, _) in FILTERS {
            let part = filter.at(field);
            if name == kind && !part.is_present() {
                faults.push(part.required(&format!("must be specified for {name} filter.type")));
            } else if name != kind && part.is_present() {
                faults
                    .push(part.forbidden(&format!("must be nil if the filter.type is not {name}")));
            }
        }
        for side in ["requestHeaderModifier", "responseHeaderModifier"] {
            for list in ["set", "add"] {
                let headers = filter.at(side).at(list).items();
                faults.extend(headers.iter().flat_map(header));
            }
        }
    }
    faults.extend(repeated(&filters));
    faults
}

/// Filters that a rule may have once only.
fn repeated(filters: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, _, once) in FILTERS {
        let items = filters.items();
        let of_type = items
            .iter()
            .filter(|filter| filter.at("type").text() == name);
        if once && of_type.count() > 1 {
            faults.push(filters.invalid(format!("{name} filter cannot be repeated")));
        }
    }
    faults
}

/// A redirect leaves nothing to send on.
fn exclusive(rule: &At<'_>) -> Option<Fault> {
    let filters = rule.at("filters");
    let has = |field: &str| {
        let items = filters.items();
        items.iter().any(|filter| filter.at(field).is_present())
    };
    if has("requestRedirect") && rule.at("backendRefs").is_set() {
        let words = "RequestRedirect filter must not be used together with backendRefs";
        return Some(rule.at("backendRefs").forbidden(words));
    }
    let words = "may specify either RequestRedirect or URLRewrite, but not both";
    (has("requestRedirect") && has("urlRewrite")).then(|| filters.invalid(words))
}

/// What a matched prefix becomes can only be said of a prefix.
fn prefixes(rule: &At<'_>) -> Vec<Fault> {
    let matches = rule.at("matches").items();
    let all_prefixes = matches
        .iter()
        .all(|one| one.at("path").at("type").text() == "PathPrefix");
    let backends = rule.at("backendRefs").items();
    let lists = std::iter::once(rule).chain(&backends);
    let mut faults = Vec::new();
    for filter in lists.flat_map(|list| list.at("filters").items()) {
        for field in ["requestRedirect", "urlRewrite"] {
            let change = filter.at(field).at("path");
            faults.extend(modifier(&change));
            if change.at("type").text() == "ReplacePrefixMatch" && !all_prefixes {
                let words = "ReplacePrefixMatch needs matches of type PathPrefix";
                faults.push(change.at("type").invalid(words));
            }
        }
    }
    faults
}

fn modifier(change: &At<'_>) -> Vec<Fault> {
    let kinds = [
        ("ReplaceFullPath", "replaceFullPath"),
        ("ReplacePrefixMatch", "replacePrefixMatch"),
    ];
    let mut faults = Vec::new();
    for (kind, field) in kinds.iter().filter(|_| change.is_present()) {
        let (part, wanted) = (change.at(field), change.at("type").text() == *kind);
        if wanted && !part.is_present() {
            faults.push(part.required(&format!("must be specified when type is {kind}")));
        } else if !wanted && part.is_present() {
            faults.push(part.forbidden(&format!("type must be {kind} when it is set")));
        }
    }
    faults
}

fn times(rule: &At<'_>) -> Vec<Fault> {
    let times = rule.at("timeouts");
    let (request, one_try) = (times.at("request"), times.at("backendRequest"));
    let all = [
        request.clone(),
        one_try.clone(),
        rule.at("retry").at("backoff"),
    ];
    let mut faults: Vec<Fault> = all.iter().filter_map(At::duration).collect();
    let read = |at: &At<'_>| {
        duration::parse(at.text())
            .ok()
            .filter(|time| !time.is_zero())
    };
    if let (Some(whole), Some(part)) = (read(&request), read(&one_try))
        && part > whole
    {
        faults
            .push(one_try.invalid("backendRequest timeout cannot be longer than request timeout"));
    }
    faults
}

fn session(session: &At<'_>) -> Vec<Fault> {
    let (absolute, cookie) = (session.at("absoluteTimeout"), session.at("cookieConfig"));
    let times = [absolute.clone(), session.at("idleTimeout")];
    let mut faults: Vec<Fault> = times.iter().filter_map(At::duration).collect();
    if session.at("type").text() == "Header" && cookie.is_present() {
        faults.push(cookie.forbidden("cookieConfig can only be set with type Cookie"));
    }
    if cookie.at("lifetimeType").text() == "Permanent" && !absolute.is_present() {
        let words = "must be specified when cookie lifetimeType is Permanent";
        faults.push(absolute.required(words));
    }
    faults
}
