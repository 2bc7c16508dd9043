//! Where endpoints stand, and which of them a caller prefers. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Region, zone and subzone; empty where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locality {
    /// The region.
    pub region: Arc<str>,
    /// The zone in it.
    pub zone: Arc<str>,
    /// The part of the zone.
    pub subzone: Arc<str>,
}

const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";
const SUBZONE: &str = "topology.istio.io/subzone";

/// Labels by key.
type Labels = BTreeMap<String, String>;

impl Locality {
    /// Reads `region/zone/subzone`; later parts may be missing.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '/').map(Arc::from);
        let mut next = || parts.next().unwrap_or_default();
        Self {
            region: next(),
            zone: next(),
            subzone: next(),
        }
    }

    /// Reads the labels of a workload or node: `istio-locality`, where dots stand for slashes, or else those of topology.
    pub fn of(labels: &Labels) -> Self {
        if let Some(text) = labels.get("istio-locality") {
            return Self::parse(&text.replacen('.', "/", 2));
        }
        let text = |key: &str| labels.get(key).map(|text| Arc::from(text.as_str()));
        Self {
            region: text(REGION).unwrap_or_default(),
            zone: text(ZONE).unwrap_or_default(),
            subzone: text(SUBZONE).unwrap_or_default(),
        }
    }

    /// This, or else another if nothing is known.
    pub fn or(self, other: &Self) -> Self {
        if self.is_known() { self } else { other.clone() }
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        !self.region.is_empty()
    }
}

/// A locality with `*` at its end, as `distribute` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Locality);

impl Places {
    /// Reads `region/zone/subzone`, `region/*`, `*`.
    pub fn parse(text: &str) -> Self {
        Self(Locality::parse(text))
    }

    /// Whether a locality is among them.
    pub fn cover(&self, locality: &Locality) -> bool {
        let Locality {
            region,
            zone,
            subzone,
        } = &self.0;
        let fits =
            |wanted: &str, given: &str| wanted == "*" || wanted.is_empty() || wanted == given;
        fits(region, &locality.region)
            && (&**region == "*" || fits(zone, &locality.zone))
            && (&**zone == "*" || fits(subzone, &locality.subzone))
    }
}

/// Which endpoints a caller prefers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalityRule {
    /// The nearest ones, and others as far as those fail.
    Nearest {
        /// Region to region: where to go when the caller's own has nothing.
        failover: Vec<(Arc<str>, Arc<str>)>,
        /// Labels that endpoints should share with the caller, most important first; empty goes by locality.
        labels: Vec<SharedLabel>,
    },
    /// Fixed shares per place for callers from a place.
    Shares(Vec<(Places, Vec<(Places, u32)>)>),
}

/// A label that endpoints should share with the caller, or have with this value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedLabel {
    /// The label's key.
    pub key: String,
    /// The value that counts; `None` is the caller's.
    pub value: Option<String>,
}

/// A caller or an endpoint, as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Stand<'a> {
    /// Where it is.
    pub locality: &'a Locality,
    /// Its labels.
    pub labels: &'a Labels,
}

impl<'a> Stand<'a> {
    /// A label; those of topology are known of nodes too.
    fn label(&self, key: &str) -> Option<&'a str> {
        let known = match key {
            REGION => &self.locality.region,
            ZONE => &self.locality.zone,
            SUBZONE => &self.locality.subzone,
            _ => return self.labels.get(key).map(String::as_str),
        };
        Some(&**known).filter(|text| !text.is_empty())
    }
}

impl LocalityRule {
    /// How far an endpoint is from a caller: 0 is nearest.
    pub fn distance(&self, caller: Stand<'_>, endpoint: Stand<'_>) -> u32 {
        match self {
            Self::Shares(_) => 0,
            Self::Nearest { failover, labels } if labels.is_empty() => {
                distance(failover, caller.locality, endpoint.locality)
            }
            Self::Nearest { labels, .. } => {
                let shared = labels
                    .iter()
                    .take_while(|label| label.holds(caller, endpoint));
                u32::try_from(labels.len() - shared.count()).unwrap_or(u32::MAX)
            }
        }
    }

    /// The places and weights for a caller, if its shares are fixed.
    pub fn shares(&self, caller: &Locality) -> Option<&[(Places, u32)]> {
        let Self::Shares(rules) = self else {
            return None;
        };
        let rule = rules.iter().find(|(from, _)| from.cover(caller));
        rule.map(|(_, to)| to.as_slice())
    }
}

impl SharedLabel {
    fn holds(&self, caller: Stand<'_>, endpoint: Stand<'_>) -> bool {
        let wanted = self.value.as_deref().or_else(|| caller.label(&self.key));
        wanted.is_some() && endpoint.label(&self.key) == wanted
    }
}

fn distance(failover: &[(Arc<str>, Arc<str>)], caller: &Locality, endpoint: &Locality) -> u32 {
    let target = failover.iter().find(|(from, _)| *from == caller.region);
    if caller.region != endpoint.region {
        let away = target.is_none_or(|(_, to)| *to != endpoint.region);
        return 3 + u32::from(away);
    }
    match (
        caller.zone == endpoint.zone,
        caller.subzone == endpoint.subzone,
    ) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    }
}

/// Groups that are told apart; endpoints that are further away belong to the last one.
pub const LEVELS: usize = 8;

/// Endpoints of one distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Those that can be used.
    pub usable: usize,
    /// All.
    pub all: usize,
}

impl Level {
    /// Percent of its share that the group can take: all of it as long as 72 in 100 are usable.
    pub fn health(self) -> u32 {
        let health = (self.usable * 140).checked_div(self.all).unwrap_or(0);
        u32::try_from(health.min(100)).unwrap_or(100)
    }
}

/// Percent of the calls for each group of endpoints, nearest first: a group takes all that it can, and hands on what it lacks
/// (<https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority>).
pub fn loads(levels: &[Level; LEVELS]) -> [u32; LEVELS] {
    let total = levels.iter().map(|level| level.health()).sum::<u32>();
    let total = total.min(100);
    let mut left = 100;
    let mut loads = levels.map(|level| {
        let wanted = (level.health() * 100).checked_div(total).unwrap_or(0);
        let taken = wanted.min(left);
        left -= taken;
        taken
    });
    // What rounding left over goes to the first that takes anything.
    if let Some(first) = loads.iter_mut().find(|load| **load > 0) {
        *first += left;
    }
    loads
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn nearest(failover: &[(&str, &str)]) -> LocalityRule {
        let failover = failover.iter();
        LocalityRule::Nearest {
            failover: failover
                .map(|(from, to)| (Arc::from(*from), Arc::from(*to)))
                .collect(),
            labels: Vec::new(),
        }
    }

    fn away(rule: &LocalityRule, from: &str, to: &str) -> u32 {
        let (from, to, none) = (Locality::parse(from), Locality::parse(to), Labels::new());
        let stand = |locality| Stand {
            locality,
            labels: &none,
        };
        rule.distance(stand(&from), stand(&to))
    }

    #[test]
    fn localities_come_from_labels() {
        let topology = labels(&[
            ("topology.kubernetes.io/region", "eu"),
            ("topology.kubernetes.io/zone", "eu-1"),
        ]);
        assert_eq!(Locality::of(&topology), Locality::parse("eu/eu-1"));
        let own = labels(&[("istio-locality", "us.us-2.b")]);
        assert_eq!(Locality::of(&own), Locality::parse("us/us-2/b"));
        assert!(!Locality::of(&Labels::new()).is_known());
    }

    #[test]
    fn nearer_is_less() {
        let rule = nearest(&[("eu", "us")]);
        let to = ["eu/1/a", "eu/1/b", "eu/2/a", "us/1/a", "asia/1/a"];
        assert_eq!(to.map(|to| away(&rule, "eu/1/a", to)), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn shared_labels_count_from_the_front() {
        let shared = |key: &str, value: Option<&str>| SharedLabel {
            key: key.into(),
            value: value.map(Into::into),
        };
        let rule = LocalityRule::Nearest {
            failover: Vec::new(),
            labels: vec![shared("net", None), shared("version", Some("v2"))],
        };
        let nowhere = Locality::default();
        let distance = |caller: &[(&str, &str)], endpoint: &[(&str, &str)]| {
            let (caller, endpoint) = (labels(caller), labels(endpoint));
            let stand = |labels| Stand {
                locality: &nowhere,
                labels,
            };
            rule.distance(stand(&caller), stand(&endpoint))
        };
        let caller = [("net", "n1")];
        assert_eq!(distance(&caller, &[("net", "n1"), ("version", "v2")]), 0);
        assert_eq!(distance(&caller, &[("net", "n1"), ("version", "v1")]), 1);
        assert_eq!(distance(&caller, &[("net", "n2"), ("version", "v2")]), 2);
        assert_eq!(distance(&[], &[]), 2);
        let zone = LocalityRule::Nearest {
            failover: Vec::new(),
            labels: vec![shared(ZONE, None)],
        };
        assert_eq!(
            away(&zone, "eu/1", "us/1/a"),
            0,
            "a place has the labels of its node"
        );
        assert_eq!(away(&zone, "eu/1", "eu/2"), 1);
    }

    #[test]
    fn places_may_leave_their_end_open() {
        let holds =
            |places: &str, locality: &str| Places::parse(places).cover(&Locality::parse(locality));
        assert!(holds("*", "eu/1/a") && holds("eu/*", "eu/1/a") && holds("eu/1/*", "eu/1/a"));
        assert!(holds("eu", "eu/2") && !holds("eu/1/*", "eu/2/a") && !holds("us/*", "eu/1"));
        let shares = LocalityRule::Shares(vec![(
            Places::parse("eu/*"),
            vec![(Places::parse("eu/*"), 80), (Places::parse("us/*"), 20)],
        )]);
        assert_eq!(
            shares.shares(&Locality::parse("eu/1")).map(<[_]>::len),
            Some(2)
        );
        assert_eq!(shares.shares(&Locality::parse("us/1")), None);
    }

    fn levels(of: &[(usize, usize)]) -> [Level; LEVELS] {
        let mut levels = [Level::default(); LEVELS];
        for (level, (usable, all)) in levels.iter_mut().zip(of) {
            (level.usable, level.all) = (*usable, *all);
        }
        levels
    }

    #[test]
    fn a_group_takes_all_until_it_lacks_too_much() {
        let loads = |of: &[(usize, usize)]| {
            let [first, second, ..] = super::loads(&levels(of));
            [first, second]
        };
        assert_eq!(loads(&[(8, 10), (10, 10)]), [100, 0]);
        assert_eq!(loads(&[(5, 10), (10, 10)]), [70, 30]);
        assert_eq!(loads(&[(0, 10), (1, 10)]), [0, 100]);
        assert_eq!(loads(&[(0, 10), (0, 10)]), [0, 0]);
    }

    proptest! {
        #[test]
        fn loads_add_up(groups in prop::collection::vec((0usize..20, 0usize..20), 1..=LEVELS)) {
            let groups: Vec<_> = groups.into_iter().map(|(usable, more)| (usable, usable + more)).collect();
            let levels = levels(&groups);
            let loads = loads(&levels);
            let any = levels.iter().any(|level| level.health() > 0);
            prop_assert_eq!(loads.iter().sum::<u32>(), if any { 100 } else { 0 });
            prop_assert!(loads.iter().zip(&levels).all(|(load, level)| *load == 0 || level.usable > 0));
        }
    }
}
