//! Numbers of plugins, as Prometheus sees them: families that plugins define under names that they are granted.
//!
//! A value touches only the lock of its family, and of a family there is one for each plugin and name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::metering::{MeterDefinition, MeterError, MeterKind, Meters};
use osier_process::metrics::Metrics;
use parking_lot::{Mutex, RwLock};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Label sets of one family.
const MAX_SERIES: usize = 2_000;
/// Labels of one family.
const MAX_LABELS: usize = 16;
/// Bytes of one label's value.
const MAX_VALUE: usize = 256;
/// Buckets of a distribution.
const MAX_BUCKETS: usize = 64;
/// Families of the host; a plugin that wrote into them would be believed.
const RESERVED: [&str; 2] = ["osier_", "istio_"];

/// The families of all plugins of a node. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MeterBook(Arc<Mutex<BTreeMap<String, Entry>>>);

#[derive(Debug)]
struct Entry {
    owner: String,
    family: Arc<Family>,
}

#[derive(Debug)]
struct Family {
    definition: MeterDefinition,
    series: Mutex<HashMap<Vec<String>, Series>>,
}

#[derive(Debug)]
enum Series {
    Counter(f64),
    Gauge(f64),
    /// Values in each bucket, the last one without a bound.
    Distribution {
        sum: f64,
        counts: Vec<u64>,
    },
}

impl MeterBook {
    /// An empty book that is shown with these metrics.
    pub fn new(metrics: &Metrics) -> Self {
        let book = Self::default();
        metrics.register(|registry| registry.register_collector(Box::new(book.clone())));
        book
    }

    /// The families that a Plugin object is granted.
    pub fn granted(&self, plugin: &str, names: Vec<String>) -> GrantedMeters {
        GrantedMeters {
            book: self.clone(),
            plugin: plugin.to_owned(),
            names,
            known: RwLock::default(),
        }
    }

    /// Shows the numbers of a plugin no longer.
    pub fn forget(&self, plugin: &str) {
        self.0.lock().retain(|_, entry| entry.owner != plugin);
    }

    fn define(&self, owner: &str, definition: MeterDefinition) -> Result<Arc<Family>, MeterError> {
        let mut families = self.0.lock();
        if let Some(entry) = families.get(&definition.name) {
            if entry.owner != owner {
                return Err(MeterError::Mismatch);
            }
            if entry.family.definition == definition {
                return Ok(entry.family.clone());
            }
        }
        // The plugin's next version may say it otherwise: what the last one counted goes.
        let name = definition.name.clone();
        let family = Arc::new(Family {
            definition,
            series: Mutex::default(),
        });
        let entry = Entry {
            owner: owner.to_owned(),
            family: family.clone(),
        };
        families.insert(name, entry);
        Ok(family)
    }
}

/// What is wrong with a name, if anything is.
pub fn unusable(name: &str) -> Option<String> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !starts || !name.chars().all(rest) || name.len() > 128 {
        return Some(format!(
            "`{name}` must be letters, digits and `_`, such as shop_requests"
        ));
    }
    let reserved = RESERVED.iter().find(|prefix| name.starts_with(**prefix))?;
    Some(format!(
        "`{name}`: names that start with `{reserved}` are the host's own"
    ))
}

fn sound(definition: &MeterDefinition) -> bool {
    let labels = &definition.labels;
    let growing = definition.buckets.is_sorted_by(|a, b| a < b)
        && definition.buckets.iter().all(|bound| bound.is_finite());
    let label = |name: &String| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    labels.len() <= MAX_LABELS
        && labels.iter().all(label)
        && growing
        && definition.buckets.len() <= MAX_BUCKETS
        && (definition.kind == MeterKind::Distribution || definition.buckets.is_empty())
}

/// The book as one plugin sees it.
pub struct GrantedMeters {
    book: MeterBook,
    plugin: String,
    names: Vec<String>,
    known: RwLock<HashMap<String, Arc<Family>>>,
}

impl Meters for GrantedMeters {
    fn define(&self, definition: MeterDefinition) -> Result<(), MeterError> {
        if !self.names.contains(&definition.name) {
            return Err(MeterError::NotGranted);
        }
        if !sound(&definition) {
            return Err(MeterError::Invalid);
        }
        let name = definition.name.clone();
        let family = self.book.define(&self.plugin, definition)?;
        self.known.write().insert(name, family);
        Ok(())
    }

    fn record(&self, name: &str, mut labels: Vec<String>, value: f64) -> Result<(), MeterError> {
        let known = self.known.read();
        let Some(family) = known.get(name) else {
            return Err(match self.names.iter().any(|granted| granted == name) {
                true => MeterError::Mismatch,
                false => MeterError::NotGranted,
            });
        };
        if labels.len() != family.definition.labels.len() {
            return Err(MeterError::Mismatch);
        }
        labels.iter_mut().for_each(shorten);
        family.add(labels, value)
    }
}

/// Cuts a label's value to its bound, between characters.
fn shorten(value: &mut String) {
    if value.len() > MAX_VALUE {
        let end = (0..=MAX_VALUE).rev().find(|at| value.is_char_boundary(*at));
        value.truncate(end.unwrap_or(0));
    }
}

impl Family {
    fn add(&self, labels: Vec<String>, value: f64) -> Result<(), MeterError> {
        let definition = &self.definition;
        let negative = value < 0.0 && definition.kind == MeterKind::Counter;
        if !value.is_finite() || negative {
            return Err(MeterError::Invalid);
        }
        let mut all = self.series.lock();
        if all.len() >= MAX_SERIES && !all.contains_key(&labels) {
            return Err(MeterError::Full);
        }
        let fresh = || match definition.kind {
            MeterKind::Counter => Series::Counter(0.0),
            MeterKind::Gauge => Series::Gauge(0.0),
            MeterKind::Distribution => Series::Distribution {
                sum: 0.0,
                counts: vec![0; definition.buckets.len() + 1],
            },
        };
        match all.entry(labels).or_insert_with(fresh) {
            Series::Counter(total) => *total += value,
            Series::Gauge(last) => *last = value,
            Series::Distribution { sum, counts } => {
                *sum += value;
                let place = definition.buckets.partition_point(|bound| *bound < value);
                if let Some(count) = counts.get_mut(place) {
                    *count += 1;
                }
            }
        }
        Ok(())
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let definition = &self.definition;
        let (name, kind) = match definition.kind {
            // The encoder adds the suffix itself.
            MeterKind::Counter => (
                definition.name.trim_end_matches("_total"),
                MetricType::Counter,
            ),
            MeterKind::Gauge => (definition.name.as_str(), MetricType::Gauge),
            MeterKind::Distribution => (definition.name.as_str(), MetricType::Histogram),
        };
        let mut family = encoder.encode_descriptor(name, &definition.description, None, kind)?;
        for (values, series) in &*self.series.lock() {
            let labels: Vec<(&str, &str)> = (definition.labels.iter().zip(values))
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            series.encode(family.encode_family(&labels)?, &definition.buckets)?;
        }
        Ok(())
    }
}

impl Series {
    fn encode(&self, mut encoder: MetricEncoder<'_>, bounds: &[f64]) -> std::fmt::Result {
        match self {
            Self::Counter(total) => encoder.encode_counter::<NoLabelSet, f64, f64>(total, None),
            Self::Gauge(last) => encoder.encode_gauge(last),
            Self::Distribution { sum, counts } => {
                let bounds = bounds.iter().copied().chain([f64::INFINITY]);
                let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
                let count = counts.iter().sum();
                encoder.encode_histogram::<NoLabelSet>(*sum, count, &buckets, None)
            }
        }
    }
}

impl Collector for MeterBook {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let families = self.0.lock();
        families
            .values()
            .try_for_each(|entry| entry.family.encode(&mut encoder))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn definition(name: &str, kind: MeterKind) -> MeterDefinition {
        MeterDefinition {
            name: name.into(),
            kind,
            description: "a test".into(),
            labels: vec!["who".into()],
            buckets: match kind {
                MeterKind::Distribution => vec![1.0, 10.0],
                _ => Vec::new(),
            },
        }
    }

    fn granted(book: &MeterBook, plugin: &str) -> GrantedMeters {
        let names = ["calls_total", "level", "sizes"].map(str::to_owned);
        book.granted(plugin, names.to_vec())
    }

    #[test]
    fn counters_gauges_and_distributions_are_shown() {
        let metrics = Metrics::new();
        let book = MeterBook::new(&metrics);
        let meters = granted(&book, "default/a");
        for (name, kind) in [
            ("calls_total", MeterKind::Counter),
            ("level", MeterKind::Gauge),
            ("sizes", MeterKind::Distribution),
        ] {
            meters.define(definition(name, kind)).unwrap();
            for value in [2.0, 3.0, 30.0] {
                meters.record(name, vec!["eve".into()], value).unwrap();
            }
        }
        let text = metrics.encode();
        for line in [
            "# TYPE calls counter",
            "calls_total{who=\"eve\"} 35.0",
            "level{who=\"eve\"} 30.0",
            "sizes_sum{who=\"eve\"} 35.0",
            "sizes_count{who=\"eve\"} 3",
            "sizes_bucket{le=\"1.0\",who=\"eve\"} 0",
            "sizes_bucket{le=\"10.0\",who=\"eve\"} 2",
            "sizes_bucket{le=\"+Inf\",who=\"eve\"} 3",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        book.forget("default/a");
        assert!(!metrics.encode().contains("eve"));
    }

    #[test]
    fn what_is_not_granted_or_makes_no_sense_is_refused() {
        let book = MeterBook::default();
        let (own, other) = (granted(&book, "default/a"), granted(&book, "default/b"));
        let calls = || definition("calls_total", MeterKind::Counter);
        assert_eq!(
            own.record("calls_total", vec!["x".into()], 1.0),
            Err(MeterError::Mismatch)
        );
        own.define(calls()).unwrap();
        own.define(calls()).unwrap();
        assert_eq!(other.define(calls()), Err(MeterError::Mismatch));
        assert_eq!(
            own.define(definition("other", MeterKind::Gauge)),
            Err(MeterError::NotGranted)
        );
        assert_eq!(
            own.record("calls_total", Vec::new(), 1.0),
            Err(MeterError::Mismatch)
        );
        for value in [-1.0, f64::NAN, f64::INFINITY] {
            let recorded = own.record("calls_total", vec!["x".into()], value);
            assert_eq!(recorded, Err(MeterError::Invalid));
        }
        let mut shrinking = definition("sizes", MeterKind::Distribution);
        shrinking.buckets = vec![2.0, 1.0];
        assert_eq!(own.define(shrinking), Err(MeterError::Invalid));
        assert!(unusable("istio_requests_total").is_some() && unusable("a-b").is_some());
        assert!(unusable("shop_requests").is_none());
    }

    #[test]
    fn series_are_bounded() {
        let meters = granted(&MeterBook::default(), "default/a");
        meters
            .define(definition("level", MeterKind::Gauge))
            .unwrap();
        let full = (0..MAX_SERIES * 2)
            .filter(|n| meters.record("level", vec![n.to_string()], 1.0) == Err(MeterError::Full))
            .count();
        assert_eq!(full, MAX_SERIES);
        assert_eq!(meters.record("level", vec!["0".into()], 2.0), Ok(()));
    }
}
