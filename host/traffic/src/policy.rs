//! `trafficPolicy` of a DestinationRule, of its subsets and of their ports: what they say, and which of them counts.

use osier_balancing::{Balancing, OutlierPolicy, RetryBudget};

use crate::fields::Fields;
use crate::load_balancer::{self, Spread};
use crate::upstream::{self, UpstreamPolicy};

/// What one traffic policy says; what it leaves out is `None`.
#[derive(Clone, Debug, Default)]
pub struct TrafficPolicy {
    own: Settings,
    budget: Option<RetryBudget>,
    ports: Vec<(u16, Settings)>,
}

/// What a policy and the settings of one port have in common.
#[derive(Clone, Debug, Default)]
struct Settings {
    spread: Option<Spread>,
    outlier: Option<OutlierPolicy>,
    upstream: UpstreamPolicy,
}

impl Settings {
    fn override_by(&mut self, other: &Self) {
        let Self {
            spread, outlier, ..
        } = other;
        self.spread = spread.as_ref().or(self.spread.as_ref()).cloned();
        self.outlier = outlier.as_ref().or(self.outlier.as_ref()).cloned();
        self.upstream.override_by(&other.upstream);
    }
}

/// What counts for one port.
#[derive(Debug)]
pub struct Resolved {
    /// Which endpoint.
    pub balancing: Balancing,
    /// How it is spoken to.
    pub upstream: UpstreamPolicy,
}

/// What policies say about a port, each overriding those before it setting by setting. Where one speaks of the port itself, nothing
/// else that was said so far counts for it: what it leaves out is the default
/// (<https://istio.io/latest/docs/reference/config/networking/destination-rule/#TrafficPolicy>, `portLevelSettings`).
pub fn resolve<'p>(policies: impl Iterator<Item = &'p TrafficPolicy>, port: u16) -> Resolved {
    let (mut said, mut budget) = (Settings::default(), None);
    for policy in policies {
        budget = policy.budget.or(budget);
        match policy.ports.iter().find(|(number, _)| *number == port) {
            Some((_, own)) => said = own.clone(),
            None => said.override_by(&policy.own),
        }
    }
    let spread = said.spread.unwrap_or_default();
    let balancing = spread.balancing(said.outlier.as_ref());
    Resolved {
        balancing: Balancing {
            budget,
            ..balancing
        },
        upstream: said.upstream,
    }
}

impl TrafficPolicy {
    /// What it says about connections, everywhere.
    pub fn upstreams(&self) -> impl Iterator<Item = &UpstreamPolicy> {
        let ports = self.ports.iter().map(|(_, settings)| &settings.upstream);
        std::iter::once(&self.own.upstream).chain(ports)
    }
}

/// Reads one traffic policy with its ports; `namespace` is the rule's.
pub fn read(fields: &mut Fields<'_>, namespace: &str) -> TrafficPolicy {
    let own = settings(fields, namespace);
    let budget = fields
        .object("retryBudget")
        .map(|mut fields| budget(&mut fields));
    let mut ports = Vec::new();
    for mut fields in fields.objects("portLevelSettings") {
        let number = fields
            .object("port")
            .and_then(|mut port| port.number("number"));
        let own = settings(&mut fields, namespace);
        match number {
            Some(number) => ports.push((number, own)),
            None => fields.invalid("port", "names no port; these settings are ignored"),
        }
    }
    TrafficPolicy { own, budget, ports }
}

fn settings(fields: &mut Fields<'_>, namespace: &str) -> Settings {
    let spread = fields.object("loadBalancer");
    let outlier = fields.object("outlierDetection");
    Settings {
        spread: spread.map(|mut fields| load_balancer::read(&mut fields)),
        outlier: outlier.map(|mut fields| self::outlier(&mut fields)),
        upstream: upstream::read(fields, namespace),
    }
}

/// Istio's defaults: a fifth of the requests, and three.
fn budget(fields: &mut Fields<'_>) -> RetryBudget {
    RetryBudget {
        percent: fields.share("percent").unwrap_or(20.0).clamp(0.0, 100.0),
        least: fields.number("minRetryConcurrency").unwrap_or(3),
    }
}

fn outlier(fields: &mut Fields<'_>) -> OutlierPolicy {
    let default = OutlierPolicy::DEFAULT;
    let old = fields.number("consecutiveErrors");
    let percent = |value: Option<u32>, otherwise| value.unwrap_or(otherwise).min(100);
    OutlierPolicy {
        consecutive_5xx: fields
            .number("consecutive5xxErrors")
            .unwrap_or(default.consecutive_5xx),
        consecutive_gateway: fields
            .number("consecutiveGatewayErrors")
            .or(old)
            .unwrap_or(default.consecutive_gateway),
        consecutive_local: fields
            .number("consecutiveLocalOriginFailures")
            .unwrap_or(default.consecutive_local),
        split: fields
            .flag("splitExternalLocalOriginErrors")
            .unwrap_or(default.split),
        interval: fields.duration("interval").unwrap_or(default.interval),
        base_time: fields
            .duration("baseEjectionTime")
            .unwrap_or(default.base_time),
        longest: default.longest,
        most: percent(fields.number("maxEjectionPercent"), default.most),
        least_healthy: percent(fields.number("minHealthPercent"), default.least_healthy),
    }
}
