//! VirtualServices: hosts, matches, destinations, weights.

use super::at::{At, unique};
use super::{export, metadata, names};
use osier_api::Fault;

/// What an HTTP route can do with a call; one of them.
const OUTCOMES: [&str; 4] = ["route", "redirect", "directResponse", "delegate"];

pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let hosts = spec.at("hosts");
    let routes = [spec.at("http"), spec.at("tls"), spec.at("tcp")];
    // Without hosts and gateways another VirtualService delegates to this one; a list without a host routes nothing.
    let empty = hosts.is_present() && hosts.items().is_empty();
    if !hosts.is_set() && (empty || spec.at("gateways").is_set()) {
        faults.push(hosts.required("name the hosts whose calls are routed"));
    }
    faults.extend(hosts.items().iter().flat_map(|host| host.name(names::host)));
    faults.extend(unique(hosts.items()));
    faults.extend(export::check(&spec.at("exportTo")));
    faults.extend(spec.at("gateways").items().iter().flat_map(gateway));
    if !routes.iter().any(At::is_set) {
        faults.push(
            spec.at("http")
                .required("http, tcp or tls must be provided in virtual service"),
        );
    }
    for route in routes[0].items() {
        faults.extend(self::route(&route));
    }
    for route in routes[1].items().iter().chain(&routes[2].items()) {
        faults.extend(destinations(&route.at("route")));
    }
    faults
}

/// `mesh`, `NAME`, or `NAMESPACE/NAME`.
fn gateway(gateway: &At<'_>) -> Vec<Fault> {
    let text = gateway.text();
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    let fits = names::subdomain(name).is_empty()
        && (namespace == "." || names::label(namespace).is_empty());
    if fits {
        Vec::new()
    } else {
        vec![gateway.invalid("must be mesh, NAME or NAMESPACE/NAME of a Gateway")]
    }
}

fn route(route: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let set: Vec<&str> = OUTCOMES
        .iter()
        .copied()
        .filter(|outcome| route.at(outcome).is_set())
        .collect();
    match set.as_slice() {
        [_] => {}
        [] => faults.push(route.required("HTTP route, redirect or directResponse is required")),
        _ => faults.push(route.forbidden(&format!(
            "HTTP route cannot contain both {}",
            set.join(" and ")
        ))),
    }
    if route.at("rewrite").is_set() && !route.at("route").is_set() && !route.at("delegate").is_set()
    {
        faults.push(route.at("rewrite").forbidden(
            "a rewrite needs a route: redirects and direct responses have no destination",
        ));
    }
    faults.extend(route.at("match").items().iter().flat_map(condition));
    faults.extend(destinations(&route.at("route")));
    faults.extend(destination(&route.at("mirror")));
    for mirror in route.at("mirrors").items() {
        faults.extend(destination(&mirror.at("destination")));
    }
    faults.extend(redirect(&route.at("redirect")));
    faults.extend(times(route));
    faults.extend(fault_injection(&route.at("fault")));
    faults
}

fn condition(condition: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in ["uri", "scheme", "method", "authority"] {
        let field = condition.at(field);
        faults.extend(text(&field));
        if field.is_present() && !field.is_set() {
            faults.push(field.required("one of exact, prefix and regex must be set"));
        }
    }
    for field in ["headers", "withoutHeaders", "queryParams"] {
        for (name, value) in condition.at(field).entries() {
            if name.is_empty() || name.contains(char::is_whitespace) {
                faults.push(Fault::invalid(
                    condition.at(field).path,
                    name,
                    "must not be empty or contain spaces",
                ));
            }
            faults.extend(text(&value));
        }
    }
    faults.extend(metadata::labels(&condition.at("sourceLabels")));
    faults.extend(condition.at("sourceNamespace").optional_name(names::label));
    faults
}

/// At most one of the three, none empty, and an expression that compiles.
fn text(text: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    if text.entries().len() > 1 {
        faults.push(text.invalid("only one of exact, prefix and regex may be set"));
    }
    for kind in ["prefix", "regex"] {
        let part = text.at(kind);
        if part.is_present() && !part.is_set() {
            faults.push(part.invalid("must not be empty"));
        }
    }
    let expression = text.at("regex");
    if let Err(error) = regex::Regex::new(expression.text()) {
        faults.push(expression.invalid(format!("must be a regular expression: {error}")));
    }
    faults
}

/// Destinations with weights that leave something to go to.
fn destinations(list: &At<'_>) -> Vec<Fault> {
    let routes = list.items();
    let mut faults: Vec<Fault> = routes
        .iter()
        .flat_map(|route| destination(&route.at("destination")))
        .collect();
    let weights: Vec<Option<i64>> = routes
        .iter()
        .map(|route| route.at("weight").int())
        .collect();
    let total: i64 = weights.iter().flatten().sum();
    if routes.len() > 1 && total == 0 {
        faults.push(list.invalid("total destination weight = 0; give each destination its share"));
    } else if total > i64::from(i32::MAX) {
        faults.push(list.invalid(format!(
            "total destination weight {total} must fit in 32 bits"
        )));
    }
    faults
}

fn destination(destination: &At<'_>) -> Vec<Fault> {
    let host = destination.at("host");
    if !destination.is_present() || !host.is_present() {
        return Vec::new();
    }
    let mut faults = host.name(names::host);
    if host.text().starts_with('*') {
        faults.push(host.invalid("a destination must be one service, not a pattern"));
    }
    faults.extend(destination.at("subset").optional_name(names::label));
    faults
}

fn redirect(redirect: &At<'_>) -> Option<Fault> {
    let code = redirect.at("redirectCode");
    let odd = code
        .int()
        .is_some_and(|code| code != 0 && !matches!(code, 301 | 302 | 303 | 307 | 308));
    odd.then(|| code.invalid("must be 301, 302, 303, 307 or 308"))
}

fn times(route: &At<'_>) -> Vec<Fault> {
    let retries = route.at("retries");
    let cors = route.at("corsPolicy").at("maxAge");
    let all = [
        route.at("timeout"),
        retries.at("perTryTimeout"),
        retries.at("backoff"),
        cors,
    ];
    let mut faults: Vec<Fault> = all.iter().filter_map(At::duration).collect();
    if retries.at("attempts").int() == Some(0) && retries.at("retryOn").is_set() {
        faults.push(
            retries
                .at("retryOn")
                .forbidden("http retry policy configured when attempts are set to 0 (disabled)"),
        );
    }
    faults
}

fn fault_injection(fault: &At<'_>) -> Vec<Fault> {
    let (delay, abort) = (fault.at("delay"), fault.at("abort"));
    let mut faults: Vec<Fault> = delay.at("fixedDelay").duration().into_iter().collect();
    if delay.is_present() && !delay.at("fixedDelay").is_set() {
        faults.push(delay.at("fixedDelay").required("say how long, such as 2s"));
    }
    let status = abort.at("httpStatus");
    if status
        .int()
        .is_some_and(|code| !(200..=599).contains(&code))
    {
        faults.push(status.invalid("must be an HTTP status from 200 to 599"));
    }
    if abort.is_present() && !status.is_present() && !abort.at("grpcStatus").is_set() {
        faults.push(status.required("say with which status calls are aborted"));
    }
    faults
}
