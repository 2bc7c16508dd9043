//! Servers that send every request to `https`.

use std::sync::Arc;

use http::StatusCode;
use http::uri::Scheme;

use crate::gateways::{GatewaySet, ServedHost, ServerProtocol, ServerSpec};
use crate::table::{Binding, RouteSet};
use osier_routing::matcher::{Matcher, SourceMatch};
use osier_routing::route::{Action, DerivePort, Redirect, Route};
use osier_routing::rules::Rule;

/// A route that sends every request of a server to `https`: to the port of the gateway that takes the same hosts there.
pub(super) fn redirect(gateway: &GatewaySet, spec: &ServerSpec) -> (Arc<RouteSet>, Binding) {
    let same_hosts = |other: &&ServerSpec| {
        let covers = |host: &ServedHost| {
            let narrower = spec.hosts.iter();
            let mut common = narrower.filter_map(|own| own.pattern.intersect(&host.pattern));
            common.next().is_some()
        };
        other.protocol == ServerProtocol::Https && other.hosts.iter().any(covers)
    };
    let secure = gateway.servers.iter().find(same_hosts);
    let port = secure
        .and_then(|server| server.port)
        .filter(|port| *port != 443);
    let about = gateway.about.clone();
    let name: Arc<str> = format!("{}/{}/{}", about.namespace, about.name, spec.field).into();
    let action = Action::Redirect(Redirect {
        status: StatusCode::MOVED_PERMANENTLY,
        path: None,
        authority: None,
        port,
        derive_port: DerivePort::Kept,
        scheme: Some(Scheme::HTTPS),
    });
    let source = SourceMatch {
        gateway: true,
        ..SourceMatch::default()
    };
    let rule = Rule {
        matcher: Matcher {
            source,
            ..Matcher::default()
        },
        route: Arc::new(Route::doing(name, action)),
    };
    let binding = Binding::to(about.resource, about.namespace.clone(), about.name.clone());
    let mut set = RouteSet::empty(about);
    set.rules.push(rule);
    (Arc::new(set), binding)
}
