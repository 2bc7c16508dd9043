//! Everything that is not about objects: discovery, OpenAPI, version, health.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{Method, Response, StatusCode};
use osier_api::Status;
use osier_discovery::{Discovery, Document, Form, OPENAPI_V2};
use osier_process::body::{self, Body};
use osier_process::metrics;
use serde_json::json;

use super::{Incoming, not_allowed};
use crate::server::ApiServer;
use crate::target::Target;
use osier_answers::compress;
use osier_answers::representation::{self, Written};
use osier_answers::respond;
use osier_store::StoreError;

/// The Kubernetes release whose API this is. Clients compare it with their own.
const MINOR: &str = "33";

pub(super) fn answer(
    server: &ApiServer,
    target: &Target,
    incoming: &Incoming,
) -> Result<Response<Body>, Status> {
    if incoming.head.method != Method::GET && *target != Target::Unknown {
        return Err(not_allowed());
    }
    let form = representation::discovery(&incoming.accept());
    let catalogue = server.registry.catalogue.load();
    let (discovery, openapi) = (&catalogue.discovery, &catalogue.openapi);
    let unknown = Status::no_such_resource;
    match target {
        Target::Root => Ok(respond::json(200, &json!({"paths": paths(discovery)}))),
        Target::Health => health(server, incoming),
        Target::Metrics => Ok(counted(server)),
        Target::Version => Ok(version()),
        Target::OpenIdConfiguration => Ok(respond::json(200, &server.tokens.discovery())),
        Target::OpenIdKeys => Ok(respond::bytes(
            200,
            "application/jwk-set+json",
            server.tokens.key_set().to_string(),
        )),
        Target::CoreVersions => Ok(discovered(discovery.core(form), form, incoming)),
        Target::Groups => Ok(discovered(discovery.groups(form), form, incoming)),
        Target::Group(group) => {
            let document = discovery.group(group).ok_or_else(unknown)?;
            Ok(discovered(document, Form::Legacy, incoming))
        }
        Target::GroupVersion(group, version) => {
            let document = discovery.version(group, version).ok_or_else(unknown)?;
            Ok(discovered(document, Form::Legacy, incoming))
        }
        Target::OpenApiV2 => match representation::openapi_v2(&incoming.accept())? {
            Written::Protobuf => Ok(tagged(openapi.v2(), OPENAPI_V2, incoming)),
            Written::Json => Ok(tagged(catalogue.swagger(), respond::JSON, incoming)),
        },
        Target::OpenApiV3 => Ok(tagged(openapi.index(), respond::JSON, incoming)),
        Target::OpenApiV3Document(path) => {
            let document = openapi.document(path).ok_or_else(unknown)?;
            let mut response = tagged(document, respond::JSON, incoming);
            // A document that was asked for by the hash of its content never changes.
            if incoming
                .query
                .get("hash")
                .is_some_and(|hash| hash == document.tag)
            {
                let forever = HeaderValue::from_static("public, immutable");
                response.headers_mut().insert(CACHE_CONTROL, forever);
            }
            Ok(response)
        }
        Target::Resource(_)
        | Target::Decisions { .. }
        | Target::Images
        | Target::Backup
        | Target::Unknown => Err(unknown()),
    }
}

fn discovered(document: &Document, form: Form, incoming: &Incoming) -> Response<Body> {
    let media = match form {
        Form::Legacy => respond::JSON,
        Form::Aggregated("v2") => {
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        }
        Form::Aggregated(_) => {
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
        }
    };
    tagged(document, media, incoming)
}

/// A document with its tag, or only the word that the caller's copy is still good.
fn tagged(document: &Document, media: &'static str, incoming: &Incoming) -> Response<Body> {
    let tag = format!("\"{}\"", document.tag);
    let known = incoming
        .header(IF_NONE_MATCH)
        .split(',')
        .any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut response = if known {
        let mut response = Response::new(body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(media));
        response
    } else {
        let asked = &incoming.head.headers;
        let whole = [Ok(document.body.clone())];
        let made = compress::answer(asked, (200, media), whole);
        made.unwrap_or_else(|status| respond::status(&status))
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// What is served beside kinds and their groups.
const OTHERS: [&str; 12] = [
    "/.well-known/openid-configuration",
    "/healthz",
    "/healthz/ping",
    "/livez",
    "/livez/ping",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/readyz",
    "/readyz/store",
    "/version",
];

/// Every path that is no object, in order.
fn paths(discovery: &Discovery) -> Vec<String> {
    let mut paths = discovery.paths();
    paths.extend(OTHERS.map(str::to_owned));
    paths.sort_unstable();
    paths
}

/// Go's word for the processor, by which clients choose programs.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn version() -> Response<Body> {
    let own = env!("CARGO_PKG_VERSION");
    respond::json(
        200,
        &json!({
            "major": "1",
            "minor": MINOR,
            "gitVersion": format!("v1.{MINOR}.0+osier.{own}"),
            "gitCommit": "",
            "gitTreeState": "",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "",
            "compiler": "rustc",
            "platform": format!("{}/{}", std::env::consts::OS, architecture()),
        }),
    )
}

fn counted(server: &ApiServer) -> Response<Body> {
    respond::bytes(200, metrics::CONTENT_TYPE, server.doors.metrics.encode())
}

/// The checks of health; what others call the last one is known too.
const CHECKS: [&str; 3] = ["ping", "store", "etcd"];

/// The server answers as soon as its store is open; from then on only the disk can fail its writes.
fn health(server: &ApiServer, incoming: &Incoming) -> Result<Response<Body>, Status> {
    let mut path = incoming.head.uri.path().trim_matches('/').split('/');
    let name = path.next().unwrap_or_default();
    let single = path.next();
    if single.is_some_and(|check| !CHECKS.contains(&check)) {
        return Err(Status::no_such_resource());
    }
    // A restart gives a full disk no room: whoever only asks whether to restart is not told to.
    let alive = single == Some("ping") || (single.is_none() && name == "livez");
    let checks = match alive {
        true => vec![("ping", Ok(()))],
        false => vec![("ping", Ok(())), ("store", server.registry.store.health())],
    };
    let excluded = incoming.query.all("exclude");
    let (healthy, lines) = told(&checks, &excluded);
    let (code, text) = match healthy {
        true if !incoming.query.flag("verbose") => (200, "ok".to_owned()),
        true => (200, format!("{lines}{name} check passed\n")),
        false => (500, format!("{lines}{name} check failed\n")),
    };
    Ok(respond::bytes(code, "text/plain; charset=utf-8", text))
}

/// Whether the checks pass that are not excluded, and a line of each, in upstream's words.
fn told(checks: &[(&str, Result<(), StoreError>)], excluded: &[&str]) -> (bool, String) {
    let (mut healthy, mut lines) = (true, String::new());
    for (name, outcome) in checks {
        match outcome {
            _ if excluded.contains(name) => lines.push_str(&format!("[+]{name} excluded: ok\n")),
            Ok(()) => lines.push_str(&format!("[+]{name} ok\n")),
            Err(error) => {
                healthy = false;
                lines.push_str(&format!("[-]{name} failed: {error}\n"));
            }
        }
    }
    let unknown = excluded
        .iter()
        .filter(|name| checks.iter().all(|(check, _)| check != *name));
    let unknown: Vec<String> = unknown.map(|name| format!("{name:?}")).collect();
    if !unknown.is_empty() {
        lines.push_str(&format!(
            "warn: some health checks cannot be excluded: no matches for {}\n",
            unknown.join(", ")
        ));
    }
    (healthy, lines)
}
