//! The choice of one endpoint of a cluster: by hash, by place, by weight and load, among those that are not left out.
//!
//! Where nothing of this is asked for, a choice costs one atomic load and allocates nothing.

use std::borrow::Cow;
use std::sync::Arc;

use osier_snapshot::{
    Cluster, Endpoint, LEVELS, Level, LoadBalancer, LocalityRule, Places, Stand, is_panic, loads,
};
use rand::Rng;

/// What one choice is to look at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish<'a> {
    /// The time, in milliseconds of this process.
    pub(crate) now: u64,
    /// The hash that decides, if the request has one.
    pub(crate) hash: Option<u64>,
    /// The mark of the endpoint that the caller's session is with.
    pub(crate) kept: Option<u64>,
    /// Who calls, if that is known.
    pub(crate) caller: Option<Stand<'a>>,
    /// Positions of endpoints that were tried already; others are preferred.
    pub(crate) tried: &'a [usize],
    /// Another place than that of the tried ones is preferred too.
    pub(crate) elsewhere: bool,
}

/// The position of an endpoint; `None` if there is none that may be called.
pub(crate) fn pick(cluster: &Cluster, wish: &Wish<'_>) -> Option<usize> {
    let view = View::of(cluster, wish.now);
    if let Some(kept) = wish.kept.and_then(|mark| view.kept(mark, wish)) {
        return Some(kept);
    }
    let simple = view.all_in && wish.tried.is_empty() && cluster.even;
    let settings = &cluster.balancing;
    if simple && settings.warmup.is_none() && settings.locality.is_none() && wish.hash.is_none() {
        return at_once(cluster);
    }
    let near = view.near(wish);
    let fresh = |index: &usize| !wish.tried.contains(index);
    let untried = || view.choose(wish, |index| near.hold(cluster, index) && fresh(&index));
    let further = || view.choose(wish, |index| fresh(&index));
    let again = || view.choose(wish, |index| near.hold(cluster, index));
    untried()
        .or_else(further)
        .or_else(again)
        .or_else(|| view.choose(wish, |_| true))
}

/// The endpoints that may be called now.
pub(crate) fn usable(cluster: &Cluster, now: u64) -> Cow<'_, [Arc<Endpoint>]> {
    let view = View::of(cluster, now);
    if view.all_in {
        return Cow::Borrowed(&cluster.endpoints);
    }
    let all = cluster.endpoints.iter().enumerate();
    let inside = all.filter(|(index, _)| view.is_in(*index));
    Cow::Owned(inside.map(|(_, endpoint)| Arc::clone(endpoint)).collect())
}

/// Any endpoint of a cluster in which all are alike.
fn at_once(cluster: &Cluster) -> Option<usize> {
    let count = cluster.endpoints.len();
    if count < 2 {
        return (count == 1).then_some(0);
    }
    Some(match cluster.balancing.balancer {
        LoadBalancer::RoundRobin => cluster.next_turn() % count,
        LoadBalancer::Random => rand::rng().random_range(0..count),
        LoadBalancer::LeastRequest => {
            let mut random = rand::rng();
            let one = random.random_range(0..count);
            // A second one that differs from the first.
            let other = (one + random.random_range(1..count)) % count;
            if load(cluster, other) < load(cluster, one) {
                other
            } else {
                one
            }
        }
    })
}

fn load(cluster: &Cluster, index: usize) -> u64 {
    let endpoint = cluster.endpoints.get(index);
    endpoint.map_or(u64::MAX, |endpoint| u64::from(endpoint.in_flight()))
}

/// A cluster at one moment.
#[derive(Clone, Copy)]
struct View<'a> {
    cluster: &'a Cluster,
    now: u64,
    /// Nobody is left out, or so many that all are called.
    all_in: bool,
}

impl<'a> View<'a> {
    fn of(cluster: &'a Cluster, now: u64) -> Self {
        let mut view = Self {
            cluster,
            now,
            all_in: !cluster.checked && !cluster.ejections.may_be_some(now),
        };
        view.all_in = view.all_in || view.is_panic();
        view
    }

    fn is_in(&self, index: usize) -> bool {
        self.all_in || self.is_healthy(index)
    }

    fn is_healthy(&self, index: usize) -> bool {
        let health = self.cluster.health.get(index);
        let endpoint = self.cluster.endpoints.get(index);
        health.is_none_or(|health| health.is_in(self.now)) && endpoint.is_none_or(|e| e.is_sound())
    }

    fn is_panic(&self) -> bool {
        let all = self.cluster.endpoints.len();
        let panics = |policy| {
            let inside = (0..all).filter(|index| self.is_healthy(*index));
            is_panic(policy, (inside.count(), all))
        };
        self.cluster.balancing.outlier.as_ref().is_some_and(panics)
    }

    /// The endpoint with this mark, if it is in and was not tried.
    fn kept(&self, mark: u64, wish: &Wish<'_>) -> Option<usize> {
        let mut all = self.cluster.endpoints.iter();
        let index = all.position(|endpoint| endpoint.mark == mark)?;
        (self.is_in(index) && !wish.tried.contains(&index)).then_some(index)
    }

    /// One of the endpoints that are in and wanted.
    fn choose(&self, wish: &Wish<'_>, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        let may = |index: usize| self.is_in(index) && wanted(index);
        if let (Some(hash), Some(table)) = (wish.hash, &self.cluster.table) {
            return table.find(hash, may);
        }
        let all = (0..self.cluster.endpoints.len()).filter(|index| may(*index));
        let shares = all.map(|index| (index, self.share(index))).collect();
        self.by_share(&Shares::new(shares)?)
    }

    /// The part of the calls that an endpoint gets, measured by the others'.
    fn share(&self, index: usize) -> u64 {
        const WHOLE: f64 = 1_000.0;
        let weight = self.cluster.endpoints.get(index).map_or(1, |e| e.weight);
        let health = self.cluster.health.get(index);
        let grown = self.cluster.balancing.warmup.zip(health);
        let grown = grown.map_or(1.0, |(warmup, health)| warmup.share(health.age(self.now)));
        u64::from(weight) * ((grown * WHOLE) as u64).max(1)
    }

    fn by_share(&self, shares: &Shares) -> Option<usize> {
        let mut random = rand::rng();
        let (one, share) = match self.cluster.balancing.balancer {
            LoadBalancer::RoundRobin => shares.at(shares.turn(self.cluster.next_turn())),
            LoadBalancer::Random | LoadBalancer::LeastRequest => {
                shares.at(random.random_range(0..shares.total))
            }
        }?;
        let alone = share == shares.total;
        if alone || self.cluster.balancing.balancer != LoadBalancer::LeastRequest {
            return Some(one);
        }
        let point = random.random_range(0..shares.total - share);
        let (other, its_share) = shares.besides(one, point)?;
        let busy = |index| load(self.cluster, index).saturating_add(1);
        let less = busy(other).saturating_mul(share) < busy(one).saturating_mul(its_share);
        Some(if less { other } else { one })
    }

    /// Which endpoints the caller prefers this time.
    fn near(&self, wish: &Wish<'_>) -> Near<'a> {
        let Some((rule, caller)) = self.cluster.balancing.locality.as_ref().zip(wish.caller) else {
            return Near::All;
        };
        // A hash decides about the place too, or a caller would change it.
        let point = |of: u32| match wish.hash {
            Some(hash) => u32::try_from((hash >> 32) % u64::from(of)).unwrap_or(0),
            None => rand::rng().random_range(0..of),
        };
        match rule {
            LocalityRule::Nearest { .. } => self.nearest(rule, caller, (wish, point)),
            LocalityRule::Shares(_) => match rule.shares(caller.locality) {
                Some(shares) => self.shared(shares, point),
                None => Near::All,
            },
        }
    }

    fn nearest(
        &self,
        rule: &'a LocalityRule,
        caller: Stand<'_>,
        (wish, point): (&Wish<'_>, impl Fn(u32) -> u32),
    ) -> Near<'a> {
        let mut levels = [Level::default(); LEVELS];
        let endpoints = self.cluster.endpoints.iter();
        let away = endpoints.map(|endpoint| level(rule, caller, endpoint));
        let away: Vec<usize> = away.collect();
        for (index, away) in away.iter().enumerate() {
            if let Some(level) = levels.get_mut(*away) {
                level.all += 1;
                level.usable += usize::from(self.is_in(index));
            }
        }
        let left = wish.tried.iter().filter(|_| wish.elsewhere);
        for level in left.filter_map(|tried| away.get(*tried)) {
            if let Some(level) = levels.get_mut(*level) {
                level.usable = 0;
            }
        }
        let mut left = point(100);
        let chosen = loads(&levels).into_iter().position(|load| {
            let here = left < load;
            left = left.saturating_sub(load);
            here
        });
        chosen.map_or(Near::All, |level| Near::Level(away, level))
    }

    /// One of the places by its share of the calls, as far as it can take them.
    fn shared(&self, places: &'a [(Places, u32)], point: impl Fn(u32) -> u32) -> Near<'a> {
        let weight = |(place, weight): &(Places, u32)| {
            let mut level = Level::default();
            for (index, endpoint) in self.cluster.endpoints.iter().enumerate() {
                if place.cover(&endpoint.workload.locality) {
                    level.all += 1;
                    level.usable += usize::from(self.is_in(index));
                }
            }
            weight.saturating_mul(level.health())
        };
        let weights: Vec<u32> = places.iter().map(weight).collect();
        let total = weights
            .iter()
            .fold(0u32, |sum, weight| sum.saturating_add(*weight));
        if total == 0 {
            return Near::All;
        }
        let mut left = point(total);
        let chosen = places.iter().zip(weights).find(|(_, weight)| {
            let here = left < *weight;
            left = left.saturating_sub(*weight);
            here
        });
        chosen.map_or(Near::All, |((place, _), _)| Near::Place(place))
    }
}

fn level(rule: &LocalityRule, caller: Stand<'_>, endpoint: &Endpoint) -> usize {
    let stand = Stand {
        locality: &endpoint.workload.locality,
        labels: &endpoint.workload.labels,
    };
    (rule.distance(caller, stand) as usize).min(LEVELS - 1)
}

/// Which endpoints a caller prefers.
enum Near<'a> {
    /// All alike.
    All,
    /// Those of this distance, of the distance of each.
    Level(Vec<usize>, usize),
    /// Those in this place.
    Place(&'a Places),
}

impl Near<'_> {
    fn hold(&self, cluster: &Cluster, index: usize) -> bool {
        match self {
            Self::All => true,
            Self::Level(away, level) => away.get(index) == Some(level),
            Self::Place(place) => {
                let endpoint = cluster.endpoints.get(index);
                endpoint.is_some_and(|endpoint| place.cover(&endpoint.workload.locality))
            }
        }
    }
}

/// Endpoints with their parts of the calls.
struct Shares {
    each: Vec<(usize, u64)>,
    total: u64,
}

impl Shares {
    /// `None` without endpoints.
    fn new(each: Vec<(usize, u64)>) -> Option<Self> {
        let total = each.iter().map(|(_, share)| share).sum();
        (total > 0).then_some(Self { each, total })
    }

    /// The endpoint that a point of the whole belongs to.
    fn at(&self, mut point: u64) -> Option<(usize, u64)> {
        let found = self.each.iter().find(|(_, share)| {
            let here = point < *share;
            point = point.saturating_sub(*share);
            here
        });
        found.copied()
    }

    /// The same, as if one endpoint were not there.
    fn besides(&self, one: usize, mut point: u64) -> Option<(usize, u64)> {
        let mut others = self.each.iter().filter(|(index, _)| *index != one);
        let found = others.find(|(_, share)| {
            let here = point < *share;
            point = point.saturating_sub(*share);
            here
        });
        found.copied()
    }

    /// The point of turn number `turn`: one endpoint after the other if all have the same share, else steps of the golden ratio, which
    /// meet every part as often as it is large, at nearly even intervals.
    fn turn(&self, turn: usize) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let (turn, count) = (turn as u64, self.each.len() as u64);
        let equal = self
            .each
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.1 == b.1));
        if equal {
            return turn % count * (self.total / count);
        }
        let part = u128::from(turn.wrapping_mul(GOLDEN)) * u128::from(self.total);
        u64::try_from(part >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
