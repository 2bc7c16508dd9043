//! `filters` of a rule or of a backend: changes of headers, paths and hosts, redirects, copies, cross-origin sharing.

use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderValue, StatusCode};

use super::Context;
use super::routes::destination;
use osier_routing::cors::CorsPolicy;
use osier_routing::headers::{HeaderEdits, HeaderOperation};
use osier_routing::matcher::StringMatch;
use osier_routing::route::{
    Action, DerivePort, Destination, Forward, Mirror, PathRewrite, Percentage, Redirect, Retries,
    Rewrite, Route, Weighted,
};
use osier_standing::FindingKind;
use osier_traffic::Fields;

/// How long the answer to a copy is waited for.
const MIRROR_TIMEOUT: Duration = Duration::from_secs(15);

/// What the filters of a rule, or of one of its backends, ask for.
#[derive(Default)]
pub(super) struct Filters {
    pub(super) headers: HeaderEdits,
    pub(super) rewrite: Rewrite,
    pub(super) redirect: Option<Redirect>,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) cors: Option<Box<CorsPolicy>>,
    /// Why requests cannot be served as the object asks: a filter must not be passed over.
    pub(super) refused: Option<String>,
}

/// Reads the filters of a rule or backend. `route` is the rule's name.
pub(super) fn read(rule: &mut Fields<'_>, route: &str, context: Context<'_>) -> Filters {
    let mut filters = Filters::default();
    for mut filter in rule.objects("filters") {
        match filter.text("type").unwrap_or_default() {
            "RequestHeaderModifier" => {
                let edits = modifier(&mut filter, "requestHeaderModifier");
                filters.headers.request.extend(edits);
            }
            "ResponseHeaderModifier" => {
                let edits = modifier(&mut filter, "responseHeaderModifier");
                filters.headers.response.extend(edits);
            }
            "RequestRedirect" => {
                let redirect = filter.object("requestRedirect");
                filters.redirect = redirect.map(|mut fields| self::redirect(&mut fields));
            }
            "URLRewrite" => {
                if let Some(mut fields) = filter.object("urlRewrite") {
                    filters.rewrite = rewrite(&mut fields);
                }
            }
            "RequestMirror" => {
                let fields = filter.object("requestMirror");
                let mirror = fields.map(|mut fields| mirror(&mut fields, route, context));
                filters.mirrors.extend(mirror);
            }
            "CORS" => {
                let fields = filter.object("cors");
                filters.cors = fields.map(|mut fields| Box::new(cors(&mut fields)));
            }
            other => filters.refused = Some(unknown(&mut filter, other)),
        }
    }
    take_host(&mut filters);
    filters
}

/// Reads the filters of a backend. `route` is the name of its rule.
pub(super) fn of_backend(backend: &mut Fields<'_>, route: &str, context: Context<'_>) -> Filters {
    let mut filters = read(backend, route, context);
    if filters.cors.take().is_some() {
        let detail =
            "cross-origin sharing is a rule's, before a backend is chosen; requests get 500";
        let (findings, path) = (backend.findings(), backend.at("filters"));
        findings.add(FindingKind::UnknownKind, path, detail);
        filters.refused = Some(detail.to_owned());
    }
    filters
}

impl Filters {
    /// Whether they are more than changes of headers.
    fn is_more(&self) -> bool {
        let Rewrite { path, authority } = &self.rewrite;
        let rewrites = path.is_some() || authority.is_some();
        rewrites || self.redirect.is_some() || !self.mirrors.is_empty()
    }

    /// The rule's route with these filters, for one of its destinations.
    fn narrow(self, rule: &Route, one: &Weighted) -> Route {
        let action = self.redirect.map_or_else(
            || {
                Action::Forward(Forward {
                    destinations: vec![one.clone()],
                    total: one.weight.max(1),
                })
            },
            Action::Redirect,
        );
        let mirrors = rule.mirrors.iter().cloned().chain(self.mirrors);
        let Rewrite { path, authority } = rule.rewrite.clone();
        Route {
            action,
            mirrors: mirrors.collect(),
            rewrite: Rewrite {
                path: self.rewrite.path.or(path),
                authority: self.rewrite.authority.or(authority),
            },
            ..rule.clone()
        }
    }
}

/// Gives the destinations of a rule routes of their own, if the filters of one are more than changes of headers.
pub(super) fn apart(route: &mut Route, filters: Vec<Filters>) {
    let rule = route.clone();
    let Action::Forward(forward) = &mut route.action else {
        return;
    };
    if filters.iter().any(Filters::is_more) {
        for (one, own) in forward.destinations.iter_mut().zip(filters) {
            one.own = Some(Arc::new(own.narrow(&rule, one)));
        }
    }
}

fn unknown(filter: &mut Fields<'_>, kind: &str) -> String {
    let path = filter.at("");
    let detail = format!("filter {kind} at {path} is not served here; requests get 500");
    for part in [
        "extensionRef",
        "requestMirror",
        "urlRewrite",
        "requestRedirect",
        "cors",
    ] {
        let _known = filter.value(part);
    }
    let findings = filter.findings();
    findings.add(FindingKind::UnknownKind, path, detail.as_str());
    detail
}

fn modifier(filter: &mut Fields<'_>, key: &'static str) -> Vec<HeaderOperation> {
    let mut operations = Vec::new();
    let Some(mut fields) = filter.object(key) else {
        return operations;
    };
    removals(&mut fields, &mut operations);
    for (list, make) in [
        ("set", HeaderOperation::Set as fn(_, _) -> _),
        ("add", HeaderOperation::Add),
    ] {
        for mut header in fields.objects(list) {
            let name = header.text("name").and_then(|name| name.parse().ok());
            let value = header.text("value").and_then(|value| value.parse().ok());
            match (name, value) {
                (Some(name), Some(value)) => operations.push(make(name, value)),
                _ => unusable(&header, header.at("")),
            }
        }
    }
    operations
}

fn removals(fields: &mut Fields<'_>, operations: &mut Vec<HeaderOperation>) {
    for (path, name) in fields.texts("remove") {
        match name.parse() {
            Ok(name) => operations.push(HeaderOperation::Remove(name)),
            Err(_) => unusable(fields, path),
        }
    }
}

fn unusable(fields: &Fields<'_>, path: String) {
    let detail = "not a header; it is ignored";
    fields.findings().add(FindingKind::Invalid, path, detail);
}

/// A request header `Host` cannot be set beside the authority: it is the authority.
fn take_host(filters: &mut Filters) {
    let authority = &mut filters.rewrite.authority;
    filters.headers.request.retain(|operation| match operation {
        HeaderOperation::Set(name, value) if name == HOST => {
            let host = value.to_str().ok().and_then(|text| text.parse().ok());
            *authority = authority.take().or(host);
            false
        }
        _ => true,
    });
}

fn redirect(fields: &mut Fields<'_>) -> Redirect {
    let scheme = fields.text("scheme");
    let scheme = scheme.and_then(|text| Scheme::try_from(text).ok());
    let status = fields.number("statusCode").unwrap_or(302u16);
    Redirect {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND),
        path: path(fields),
        authority: fields.text("hostname").map(Into::into),
        port: fields.number("port"),
        // The scheme's own port if the scheme changes, the listener's if not.
        derive_port: match scheme {
            Some(_) => DerivePort::FromProtocol,
            None => DerivePort::FromRequest,
        },
        scheme,
    }
}

fn rewrite(fields: &mut Fields<'_>) -> Rewrite {
    let path = path(fields);
    let hostname = fields.text("hostname");
    let authority = hostname.and_then(|host| host.parse().ok());
    if hostname.is_some() && authority.is_none() {
        fields.invalid("hostname", "not a host name; it is ignored");
    }
    Rewrite { path, authority }
}

fn path(fields: &mut Fields<'_>) -> Option<PathRewrite> {
    let mut path = fields.object("path")?;
    let (whole, prefix) = (
        path.text("replaceFullPath"),
        path.text("replacePrefixMatch"),
    );
    match path.text("type") {
        Some("ReplaceFullPath") => Some(PathRewrite::Whole(whole?.into())),
        _ => Some(PathRewrite::Matched(prefix?.into())),
    }
}

fn mirror(fields: &mut Fields<'_>, route: &str, context: Context<'_>) -> Mirror {
    let percent = fields.number::<u32>("percent");
    let fraction = fields.object("fraction").map(|mut fraction| {
        let numerator = u64::from(fraction.number::<u32>("numerator").unwrap_or(0));
        let denominator = u64::from(fraction.number::<u32>("denominator").unwrap_or(100));
        let whole = u64::from(Percentage::WHOLE);
        let share = (numerator * whole).checked_div(denominator).unwrap_or(0);
        u32::try_from(share.min(whole)).unwrap_or(Percentage::WHOLE)
    });
    let percent = percent.map(|percent| percent.min(100) * (Percentage::WHOLE / 100));
    let share = percent.or(fraction).unwrap_or(Percentage::WHOLE);
    let to = match fields.object("backendRef") {
        Some(mut backend) => destination(&mut backend, context),
        None => Destination::nowhere("requestMirror names no backendRef"),
    };
    let route = Route {
        timeout: Some(MIRROR_TIMEOUT),
        retries: Retries::never(),
        ..Route::to(format!("{route}/mirror").into(), to)
    };
    Mirror {
        route: Arc::new(route),
        share: Percentage(share),
    }
}

fn cors(fields: &mut Fields<'_>) -> CorsPolicy {
    let credentials = fields.flag("allowCredentials").unwrap_or(false);
    let origins = fields.texts("allowOrigins").into_iter();
    let origins = origins.filter_map(|(field, text)| origin(fields, field, text));
    let origins = origins.collect();
    let mut list = |key| list(fields, key, credentials);
    let (methods, headers) = (list("allowMethods"), list("allowHeaders"));
    let expose = list("exposeHeaders");
    CorsPolicy {
        origins,
        credentials,
        methods,
        headers,
        expose,
        max_age: Some(HeaderValue::from(
            fields.number::<u32>("maxAge").unwrap_or(5),
        )),
        ignore_unmatched: true,
    }
}

/// A list of names as a header has it. `*` is no name where a call may carry credentials.
fn list(fields: &mut Fields<'_>, key: &'static str, credentials: bool) -> Option<HeaderValue> {
    let texts = fields.texts(key);
    let any = texts.iter().any(|(_, text)| *text == "*");
    if any && credentials && key != "exposeHeaders" {
        let detail = "with allowCredentials a browser does not read \"*\": list them";
        fields.not_applied(key, detail);
    }
    let texts: Vec<&str> = texts.into_iter().map(|(_, text)| text).collect();
    let value = HeaderValue::try_from(texts.join(",")).ok();
    value.filter(|value| !value.is_empty())
}

/// An origin, `*`, or one whose host begins with `*.`.
fn origin(fields: &Fields<'_>, field: String, text: &str) -> Option<StringMatch> {
    let Some((scheme, suffix)) = text.split_once("*.") else {
        return Some(StringMatch::Exact(text.into()));
    };
    let escape = regex::escape;
    let pattern = format!("{}[^/:]+\\.{}", escape(scheme), escape(suffix));
    let findings = fields.findings();
    StringMatch::whole(&pattern)
        .map_err(|error| findings.add(FindingKind::Invalid, field, error.to_string()))
        .ok()
}
