//! What an `http[]` entry of a VirtualService does with a request.

use base64::Engine as _;
use bytes::Bytes;
use http::StatusCode;
use http::uri::{Authority, Scheme};

use super::destinations::{self, percentage};
use super::headers::edits;
use super::matches::find_regex;
use super::{Context, cors, retries};
use osier_routing::headers::{HeaderEdits, HeaderOperation};
use osier_routing::route::{
    Abort, Action, Delay, DerivePort, DirectResponse, Fault, PathRewrite, Redirect, Rewrite, Route,
    Weighted,
};
use osier_traffic::Fields;

/// Reads one route; `None` if it says nothing usable about where the request goes.
pub(crate) fn compile(http: &mut Fields<'_>, name: String, context: Context<'_>) -> Option<Route> {
    let mut headers = http
        .object("headers")
        .map(|mut fields| edits(&mut fields))
        .unwrap_or_default();
    let mut rewrite = http
        .object("rewrite")
        .map(|mut fields| rewrite(&mut fields))
        .unwrap_or_default();
    take_host(&mut headers, &mut rewrite);
    let timeout = http.duration("timeout").filter(|time| !time.is_zero());
    let retries = http
        .object("retries")
        .map(|mut fields| retries::compile(&mut fields))
        .unwrap_or_default();
    let fault = http
        .object("fault")
        .map(|mut fields| fault(&mut fields))
        .unwrap_or_default();
    let cors = http
        .object("corsPolicy")
        .map(|mut fields| Box::new(cors::compile(&mut fields)));
    let mirrors = destinations::mirrors(http, &name, context);
    let action = action(http, context)?;
    Some(Route {
        name: name.into(),
        action,
        headers,
        rewrite,
        timeout,
        retries,
        fault,
        cors,
        mirrors,
        session: None,
    })
}

/// A request header `Host` cannot be set beside the authority: it is the authority.
fn take_host(headers: &mut HeaderEdits, rewrite: &mut Rewrite) {
    headers.request.retain(|operation| match operation {
        HeaderOperation::Set(name, value) if name == http::header::HOST => {
            let authority = value.to_str().ok().and_then(|text| text.parse().ok());
            rewrite.authority = rewrite.authority.take().or(authority);
            false
        }
        _ => true,
    });
}

fn action(http: &mut Fields<'_>, context: Context<'_>) -> Option<Action> {
    if let Some(mut fields) = http.object("redirect") {
        return redirect(&mut fields).map(Action::Redirect);
    }
    if let Some(mut fields) = http.object("directResponse") {
        return direct_response(&mut fields).map(Action::Direct);
    }
    let destinations: Vec<Weighted> = http
        .objects("route")
        .iter_mut()
        .filter_map(|fields| destinations::weighted(fields, context))
        .collect();
    if destinations.is_empty() {
        if !http.has("delegate") {
            http.invalid("route", "names no destination; the rule is skipped");
        }
        return None;
    }
    Some(Action::Forward(destinations::forward(destinations, http)))
}

fn rewrite(fields: &mut Fields<'_>) -> Rewrite {
    let matched = fields
        .text("uri")
        .map(|text| PathRewrite::Matched(text.into()));
    let by_regex = fields
        .object("uriRegexRewrite")
        .and_then(|mut regex| regex_rewrite(&mut regex));
    let authority = fields.text("authority").and_then(|text| {
        let authority = text.parse::<Authority>();
        if authority.is_err() {
            fields.invalid("authority", "not a host name; it is ignored");
        }
        authority.ok()
    });
    Rewrite {
        path: matched.or(by_regex),
        authority,
    }
}

fn regex_rewrite(fields: &mut Fields<'_>) -> Option<PathRewrite> {
    let (pattern, replacement) = (
        fields.text("match")?,
        fields.text("rewrite").unwrap_or_default(),
    );
    match find_regex(pattern) {
        Ok(regex) => Some(PathRewrite::Regex(
            regex,
            re2_replacement(replacement).into(),
        )),
        Err(error) => {
            fields.invalid("match", format!("{error}; it is ignored"));
            None
        }
    }
}

/// RE2 writes groups `\1`; our engine writes `${1}`, and `$` for itself twice.
fn re2_replacement(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            ('$', _) => out.push_str("$$"),
            (_, true) => match chars.next() {
                Some(digit) if digit.is_ascii_digit() => {
                    out.push_str("${");
                    out.push(digit);
                    out.push('}');
                }
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (other, _) => out.push(other),
        }
    }
    out
}

fn redirect(fields: &mut Fields<'_>) -> Option<Redirect> {
    let status = fields.number("redirectCode").unwrap_or(301u16);
    let path = fields
        .text("uri")
        .filter(|text| !text.is_empty())
        .map(redirect_path);
    let authority = fields
        .text("authority")
        .filter(|text| !text.is_empty())
        .map(Into::into);
    let scheme = fields
        .text("scheme")
        .and_then(|text| Scheme::try_from(text).ok());
    let port = fields.number("port");
    let derive_port = derive_port(fields);
    match StatusCode::from_u16(status) {
        Ok(status) if [301, 302, 303, 307, 308].contains(&status.as_u16()) => Some(Redirect {
            status,
            path,
            authority,
            port,
            derive_port,
            scheme,
        }),
        _ => {
            fields.invalid(
                "redirectCode",
                "must be 301, 302, 303, 307 or 308; the rule is skipped",
            );
            None
        }
    }
}

/// `%PREFIX()%` before the text keeps what stands behind the matched prefix, as Istio's reference of HTTPRedirect writes it.
fn redirect_path(text: &str) -> PathRewrite {
    match text.strip_prefix("%PREFIX()%") {
        Some(prefix) => PathRewrite::Matched(prefix.into()),
        None => PathRewrite::Whole(text.into()),
    }
}

fn derive_port(fields: &mut Fields<'_>) -> DerivePort {
    match fields.text("derivePort") {
        None => DerivePort::Kept,
        Some("FROM_PROTOCOL_DEFAULT") => DerivePort::FromProtocol,
        Some("FROM_REQUEST_PORT") => DerivePort::FromRequest,
        Some(_) => {
            let detail = "must be FROM_PROTOCOL_DEFAULT or FROM_REQUEST_PORT; it is ignored";
            fields.invalid("derivePort", detail);
            DerivePort::Kept
        }
    }
}

fn direct_response(fields: &mut Fields<'_>) -> Option<DirectResponse> {
    let status = fields
        .number("status")
        .and_then(|code: u16| StatusCode::from_u16(code).ok())
        .filter(|s| s.as_u16() >= 200);
    let body = fields
        .object("body")
        .map(|mut body| direct_body(&mut body))
        .unwrap_or_default();
    if status.is_none() {
        fields.invalid(
            "status",
            "must be a status from 200 to 599; the rule is skipped",
        );
    }
    Some(DirectResponse {
        status: status?,
        body,
    })
}

/// `string`, or `bytes` in base64.
fn direct_body(fields: &mut Fields<'_>) -> Bytes {
    let encoded = fields.text("bytes");
    if let Some(text) = fields.text("string") {
        return Bytes::copy_from_slice(text.as_bytes());
    }
    let Some(encoded) = encoded else {
        return Bytes::new();
    };
    match base64::engine::general_purpose::STANDARD.decode(encoded) {
        Ok(bytes) => bytes.into(),
        Err(error) => {
            fields.invalid("bytes", format!("not base64 ({error}); the body is empty"));
            Bytes::new()
        }
    }
}

fn fault(fields: &mut Fields<'_>) -> Fault {
    let delay = fields.object("delay").and_then(|mut delay| {
        let share = percentage(&mut delay, None);
        Some(Delay {
            time: delay.duration("fixedDelay")?,
            share,
        })
    });
    let abort = fields.object("abort").and_then(|mut abort| {
        let share = percentage(&mut abort, None);
        let grpc = abort.text("grpcStatus").and_then(retries::grpc_code);
        let status = abort.number("httpStatus").and_then(|code: u16| StatusCode::from_u16(code).ok());
        let status = if grpc.is_some() { Some(StatusCode::OK) } else { status.filter(|s| s.as_u16() >= 200) };
        if status.is_none() {
            abort.invalid("httpStatus", "must be a status from 200 to 599, or grpcStatus a code's name; no request is aborted");
        }
        Some(Abort { status: status?, grpc, share })
    });
    Fault { delay, abort }
}
