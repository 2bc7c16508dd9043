//! Routes that speak of a Service: who calls it is routed by them, unless a rule is for other callers or another port
//! (<https://gateway-api.sigs.k8s.io/geps/gep-1294/>).
//!
//! A route of the Service's own namespace (a producer's) holds for every caller, one of another namespace (a consumer's) for the
//! callers of that namespace and before the producer's. A caller whom a route holds for and whom no rule of it matches gets 404.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use crate::table::{Binding, Filed, HostRoutes};
use osier_routing::matcher::{Matcher, SourceMatch};
use osier_routing::route::{Action, DirectResponse, Route};
use osier_routing::rules::{Rule, Rules};

/// For whom a route holds: the callers of a namespace, or everyone; on a port, or every one.
type Scope<'a> = (Option<&'a str>, Option<u16>);

/// The routes of a Service, made of those that speak of it.
pub(crate) fn routes(sets: Vec<Filed>, otherwise: &Arc<Route>) -> HostRoutes {
    let rules = Rules::new(rules(&sets, otherwise));
    HostRoutes { sets, rules }
}

/// The rules in order: consumers', producers', and what happens without any.
fn rules(sets: &[Filed], otherwise: &Arc<Route>) -> Vec<Rule> {
    // Consumers first, since `None` would sort before them; a port before every port.
    let scopes: BTreeSet<(bool, Option<&str>, bool, Option<u16>)> = sets
        .iter()
        .flat_map(scopes)
        .map(|(namespace, port)| (namespace.is_none(), namespace, port.is_none(), port))
        .collect();
    let mut rules = Vec::new();
    for (_, namespace, _, port) in scopes {
        let scope = (namespace, port);
        rules.extend(of_scope(sets, scope));
        rules.push(not_found(scope));
    }
    rules.push(Rule {
        matcher: Matcher::default(),
        route: Arc::clone(otherwise),
    });
    rules
}

/// What is left of a scope.
fn not_found(scope: Scope<'_>) -> Rule {
    let action = Action::Direct(DirectResponse {
        status: StatusCode::NOT_FOUND,
        body: Bytes::new(),
    });
    Rule {
        matcher: narrowed(&Matcher::default(), scope),
        route: Arc::new(Route::doing("no-rule".into(), action)),
    }
}

fn scopes(filed: &Filed) -> Vec<Scope<'_>> {
    let bindings = filed.through.iter();
    bindings.map(|binding| scope(filed, binding)).collect()
}

fn scope<'a>(filed: &'a Filed, binding: &Binding) -> Scope<'a> {
    let own = filed.set.about.namespace.as_str();
    ((own != binding.namespace).then_some(own), binding.port)
}

/// The rules of every route of a scope, the narrowest first.
fn of_scope(sets: &[Filed], wanted: Scope<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    // What is said of every port holds for each one.
    let fits = |(namespace, port): Scope<'_>| {
        namespace == wanted.0 && (port.is_none() || port == wanted.1)
    };
    for filed in sets {
        let mut bindings = filed.through.iter();
        if bindings.any(|binding| fits(scope(filed, binding))) {
            let narrowed = |rule: &Rule| Rule {
                matcher: narrowed(&rule.matcher, wanted),
                route: Arc::clone(&rule.route),
            };
            rules.extend(filed.set.rules.iter().map(narrowed));
        }
    }
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.matcher.narrowness()));
    rules
}

fn narrowed(matcher: &Matcher, (namespace, port): Scope<'_>) -> Matcher {
    Matcher {
        port,
        source: SourceMatch {
            namespace: namespace.map(Into::into),
            ..matcher.source.clone()
        },
        ..matcher.clone()
    }
}
