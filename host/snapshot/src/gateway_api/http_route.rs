//! Rules of an HTTPRoute, and of a GRPCRoute, which differ in their matches.

use std::sync::Arc;
use std::time::Duration;

use super::{Context, filters, matches, routes, session};
use crate::table::RouteSet;
use osier_routing::matcher::Matcher;
use osier_routing::route::{Action, Retries, RetryOn, Route};
use osier_routing::rules::Rule;
use osier_routing::session::Session;
use osier_traffic::Fields;

/// The most tries that one request may cost.
const MOST_ATTEMPTS: u32 = 25;

/// How a kind of route reads one of its matches.
type ReadMatch = fn(&mut Fields<'_>) -> Option<Matcher>;

/// Reads the rules.
pub(super) fn read(
    spec: &mut Fields<'_>,
    (context, matcher): (Context<'_>, ReadMatch),
    set: &mut RouteSet,
) {
    for (index, mut rule) in (0u32..).zip(spec.objects("rules")) {
        let own = rule.text("name");
        let own = own.map_or_else(|| format!("rules[{index}]"), ToOwned::to_owned);
        let name = format!("{}/{}/{own}", context.namespace, context.name);
        let matchers = matchers(&mut rule, matcher);
        let session = session::read(&mut rule, &name);
        let route = Arc::new(route(&mut rule, name, context));
        set.rules.extend(matchers.into_iter().map(|matcher| Rule {
            route: kept(&route, session.as_ref(), &matcher),
            matcher,
        }));
    }
}

/// The route of a rule for one of its matches.
fn kept(route: &Arc<Route>, session: Option<&Session>, matcher: &Matcher) -> Arc<Route> {
    match session {
        None => Arc::clone(route),
        Some(session) => {
            let session = Arc::new(session.for_path(matcher.path.as_ref()));
            Arc::new(route.keeping(&session))
        }
    }
}

fn matchers(rule: &mut Fields<'_>, read: ReadMatch) -> Vec<Matcher> {
    let mut conditions = rule.objects("matches");
    if conditions.is_empty() {
        return vec![Matcher {
            source: matches::everywhere(),
            ..Matcher::default()
        }];
    }
    conditions.iter_mut().filter_map(read).collect()
}

fn route(rule: &mut Fields<'_>, name: String, context: Context<'_>) -> Route {
    let filters = filters::read(rule, &name, context);
    let (backends, of_backends) = routes::forward(rule, &name, context);
    let (action, of_backends) = match (filters.refused, filters.redirect) {
        (Some(reason), _) => (routes::refusal(&reason), Vec::new()),
        (None, Some(redirect)) => (Action::Redirect(redirect), Vec::new()),
        (None, None) => (backends, of_backends),
    };
    let (timeout, per_try_timeout) = timeouts(rule);
    let retries = rule.object("retry").map(|mut retry| retries(&mut retry));
    let mut route = Route {
        headers: filters.headers,
        rewrite: filters.rewrite,
        timeout,
        retries: Retries {
            per_try_timeout,
            ..retries.unwrap_or_default()
        },
        cors: filters.cors,
        mirrors: filters.mirrors,
        ..Route::doing(name.into(), action)
    };
    filters::apart(&mut route, of_backends);
    route
}

/// The time for the request, and for one try; zero is no limit.
fn timeouts(rule: &mut Fields<'_>) -> (Option<Duration>, Option<Duration>) {
    let Some(mut times) = rule.object("timeouts") else {
        return (None, None);
    };
    let mut time = |key| times.duration(key).filter(|time| !time.is_zero());
    (time("request"), time("backendRequest"))
}

/// Answers with one of the codes, and tries that came to no answer at all.
fn retries(retry: &mut Fields<'_>) -> Retries {
    let codes = retry.list("codes").into_iter();
    let status = codes.filter_map(|(_, code)| code.as_u64()?.try_into().ok());
    let on = RetryOn {
        connect_failure: true,
        refused: true,
        reset: true,
        status: status.collect(),
        ..RetryOn::default()
    };
    let attempts = retry.number("attempts");
    let back_off = retry.duration("backoff").filter(|time| !time.is_zero());
    let usual = Retries::default();
    Retries {
        attempts: attempts.unwrap_or(usual.attempts).min(MOST_ATTEMPTS),
        on,
        back_off: back_off.unwrap_or(usual.back_off),
        ..usual
    }
}
