//! `loadBalancer` of a traffic policy: which endpoint, by turns, hash, place and age.

use http::HeaderName;

use osier_balancing::{
    Balancing, ConsistentHash, HashKey, HashMethod, LoadBalancer, LocalityRule, MOST_POINTS,
    OutlierPolicy, Places, RING, SharedLabel, Warmup, is_prime,
};

use crate::fields::Fields;

/// `loadBalancer`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    balancer: LoadBalancer,
    hash: Option<ConsistentHash>,
    locality: Locality,
    warmup: Option<Warmup>,
}

/// `localityLbSetting`, which is on with its defaults where it is not set.
#[derive(Clone, Debug)]
enum Locality {
    Off,
    On(LocalityRule),
}

impl Default for Locality {
    fn default() -> Self {
        Self::On(LocalityRule::Nearest {
            failover: Vec::new(),
            labels: Vec::new(),
        })
    }
}

impl Spread {
    /// The settings, with what the policy says about failing endpoints.
    pub(crate) fn balancing(&self, outlier: Option<&OutlierPolicy>) -> Balancing {
        let locality = match &self.locality {
            // Without outlier detection nobody would notice that the nearest ones fail.
            Locality::On(LocalityRule::Nearest { .. }) if outlier.is_none() => None,
            Locality::On(rule) => Some(rule.clone()),
            Locality::Off => None,
        };
        Balancing {
            balancer: self.balancer,
            hash: self.hash.clone(),
            locality,
            warmup: self.warmup,
            outlier: outlier.cloned(),
            budget: None,
        }
    }
}

/// Reads a `loadBalancer`.
pub(crate) fn read(fields: &mut Fields<'_>) -> Spread {
    let hash = fields.object("consistentHash");
    let locality = fields.object("localityLbSetting");
    Spread {
        balancer: simple(fields),
        hash: hash.and_then(|mut fields| consistent_hash(&mut fields)),
        locality: locality.map_or_else(Locality::default, |mut fields| self::locality(&mut fields)),
        warmup: warmup(fields),
    }
}

fn simple(fields: &mut Fields<'_>) -> LoadBalancer {
    match fields.text("simple") {
        None | Some("LEAST_REQUEST" | "LEAST_CONN" | "UNSPECIFIED") => LoadBalancer::LeastRequest,
        Some("ROUND_ROBIN") => LoadBalancer::RoundRobin,
        Some("RANDOM") => LoadBalancer::Random,
        Some(other) => {
            fields.not_applied("simple", format!("{other} is served as LEAST_REQUEST"));
            LoadBalancer::LeastRequest
        }
    }
}

fn warmup(fields: &mut Fields<'_>) -> Option<Warmup> {
    let old = fields.duration("warmupDurationSecs");
    let mut own = fields.object("warmup");
    let time = own.as_mut().and_then(|fields| fields.duration("duration"));
    let mut share = |key| own.as_mut().and_then(|fields| fields.share(key));
    let least = share("minimumPercent").unwrap_or(10.0).clamp(0.0, 100.0) / 100.0;
    let aggression = share("aggression")
        .filter(|form| *form > 0.0)
        .unwrap_or(1.0);
    let time = time.or(old).filter(|time| !time.is_zero())?;
    Some(Warmup {
        time,
        least,
        aggression,
    })
}

fn consistent_hash(fields: &mut Fields<'_>) -> Option<ConsistentHash> {
    let method = hash_method(fields);
    let key = hash_key(fields);
    if key.is_none() {
        let detail = "names nothing to hash; requests are balanced one by one";
        fields.invalid("", detail);
    }
    Some(ConsistentHash { key: key?, method })
}

fn hash_key(fields: &mut Fields<'_>) -> Option<HashKey> {
    if let Some(name) = fields.text("httpHeaderName") {
        return HeaderName::try_from(name).ok().map(HashKey::Header);
    }
    if let Some(mut fields) = fields.object("httpCookie") {
        return cookie(&mut fields);
    }
    if fields.flag("useSourceIp") == Some(true) {
        return Some(HashKey::SourceIp);
    }
    fields
        .text("httpQueryParameterName")
        .map(|name| HashKey::Query(name.into()))
}

fn cookie(fields: &mut Fields<'_>) -> Option<HashKey> {
    let path = fields.text("path").filter(|path| !path.is_empty());
    let life = fields.duration("ttl");
    let mut attributes = String::new();
    for mut attribute in fields.objects("attributes") {
        let (name, value) = (attribute.text("name"), attribute.text("value"));
        for part in ["; ", name.unwrap_or_default()] {
            attributes.push_str(part);
        }
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            attributes.push('=');
            attributes.push_str(value);
        }
    }
    Some(HashKey::Cookie {
        path: path.map(Into::into),
        life,
        attributes: attributes.into(),
        name: fields.text("name")?.into(),
    })
}

fn hash_method(fields: &mut Fields<'_>) -> HashMethod {
    const TABLE: u32 = 65_537;
    let old = fields.number("minimumRingSize");
    let ring = fields.object("ringHash");
    let ring = ring.and_then(|mut ring| ring.number("minimumRingSize"));
    let Some(mut maglev) = fields.object("maglev") else {
        return HashMethod::Ring(ring.or(old).unwrap_or(RING).min(MOST_POINTS));
    };
    let size = maglev.number("tableSize").unwrap_or(TABLE);
    if is_prime(size) && size <= MOST_POINTS {
        return HashMethod::Maglev(size);
    }
    let detail = format!("must be a prime number up to {MOST_POINTS}; {TABLE} is used");
    maglev.invalid("tableSize", detail);
    HashMethod::Maglev(TABLE)
}

fn locality(fields: &mut Fields<'_>) -> Locality {
    let off = fields.flag("enabled") == Some(false);
    let shares: Vec<_> = fields
        .objects("distribute")
        .iter_mut()
        .filter_map(share)
        .collect();
    let failover = fields
        .objects("failover")
        .into_iter()
        .filter_map(|mut rule| Some((rule.text("from")?.into(), rule.text("to")?.into())));
    let failover = failover.collect();
    let labels = fields.texts("failoverPriority").into_iter();
    let labels = labels.map(|(_, text)| match text.split_once('=') {
        Some((key, value)) => SharedLabel {
            key: key.to_owned(),
            value: Some(value.to_owned()),
        },
        None => SharedLabel {
            key: text.to_owned(),
            value: None,
        },
    });
    let labels = labels.collect();
    match (off, shares.is_empty()) {
        (true, _) => Locality::Off,
        (false, false) => Locality::On(LocalityRule::Shares(shares)),
        (false, true) => Locality::On(LocalityRule::Nearest { failover, labels }),
    }
}

fn share(rule: &mut Fields<'_>) -> Option<(Places, Vec<(Places, u32)>)> {
    let to = rule.entries("to").into_iter();
    let to = to.filter_map(|(place, _, weight)| {
        let weight = u32::try_from(weight.as_u64()?).ok()?;
        Some((Places::parse(place), weight))
    });
    let to = to.collect();
    Some((Places::parse(rule.text("from")?), to))
}
