//! Where an `http[]` entry of a VirtualService sends requests, and copies of them.

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::headers::edits;
use osier_routing::names;
use osier_routing::route::{Destination, Forward, Mirror, Percentage, Retries, Route, Weighted};
use osier_traffic::Fields;

/// How long the answer to a copy is waited for.
const MIRROR_TIMEOUT: Duration = Duration::from_secs(15);

/// Gives the destinations their total.
pub(super) fn forward(mut destinations: Vec<Weighted>, http: &Fields<'_>) -> Forward {
    let mut total = sum(&destinations);
    if total == 0 {
        if destinations.len() > 1 {
            http.invalid(
                "route",
                "no destination has a weight; each gets the same share",
            );
        }
        destinations.iter_mut().for_each(|d| d.weight = 1);
        total = sum(&destinations);
    }
    Forward {
        destinations,
        total,
    }
}

/// Reads one entry of `route`.
pub(super) fn weighted(fields: &mut Fields<'_>, context: Context<'_>) -> Option<Weighted> {
    let headers = fields
        .object("headers")
        .map(|mut fields| edits(&mut fields))
        .unwrap_or_default();
    let weight = fields.number::<u32>("weight").unwrap_or(0).min(1_000_000);
    let Some(mut to) = fields.object("destination") else {
        fields.invalid("destination", "is missing; this share is dropped");
        return None;
    };
    Some(Weighted {
        destination: destination(&mut to, context)?,
        weight,
        headers,
        own: None,
    })
}

fn destination(fields: &mut Fields<'_>, context: Context<'_>) -> Option<Destination> {
    let subset = fields
        .text("subset")
        .filter(|name| !name.is_empty())
        .map(Arc::from);
    let port = fields
        .object("port")
        .and_then(|mut port| port.number("number"));
    match fields.text("host") {
        Some(host) => {
            let service = names::meaning(host, context.namespace, context.domain);
            Some(Destination {
                service,
                subset,
                port,
            })
        }
        None => {
            fields.invalid("host", "is missing; this share is dropped");
            None
        }
    }
}

fn sum(destinations: &[Weighted]) -> u32 {
    destinations.iter().fold(0, |total, destination| {
        total.saturating_add(destination.weight)
    })
}

/// Reads `mirror` with its share, and `mirrors`.
pub(super) fn mirrors(http: &mut Fields<'_>, route: &str, context: Context<'_>) -> Vec<Mirror> {
    let mut found = Vec::new();
    if let Some(mut to) = http.object("mirror") {
        let exact = http
            .object("mirrorPercentage")
            .and_then(|mut fields| fields.share("value"));
        let percent = exact.or_else(|| http.share("mirrorPercent"));
        let share = millionths(percent.unwrap_or(100.0));
        found.extend(mirror(&mut to, share, (route, context)));
    }
    for mut fields in http.objects("mirrors") {
        let share = percentage(&mut fields, Some(100.0));
        if let Some(mut to) = fields.object("destination") {
            found.extend(mirror(&mut to, share, (route, context)));
        }
    }
    found
}

fn mirror(
    to: &mut Fields<'_>,
    share: Percentage,
    (route, context): (&str, Context<'_>),
) -> Option<Mirror> {
    let plain = Route::to(format!("{route}/mirror").into(), destination(to, context)?);
    let route = Route {
        timeout: Some(MIRROR_TIMEOUT),
        retries: Retries::never(),
        ..plain
    };
    let route = Arc::new(route);
    Some(Mirror { route, share })
}

/// A `percentage`; without one the share is `otherwise`, and if there is no such share either, that is said.
pub(super) fn percentage(fields: &mut Fields<'_>, otherwise: Option<f64>) -> Percentage {
    let exact = fields
        .object("percentage")
        .and_then(|mut fields| fields.share("value"));
    let percent = exact.or_else(|| fields.share("percent")).or(otherwise);
    if percent.is_none() {
        fields.invalid("percentage", "is missing; no request is affected");
    }
    millionths(percent.unwrap_or_default())
}

fn millionths(percent: f64) -> Percentage {
    Percentage((percent.clamp(0.0, 100.0) * 10_000.0).round() as u32)
}
