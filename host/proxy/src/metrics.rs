//! Istio's standard request metrics, counted without a lock and without building labels.
//!
//! A series is found by a key of small numbers; its labels are written once, when it first appears. The table of series is
//! copied when it grows, which happens only then, so that looking up costs one atomic load and one hash.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use osier_process::metrics::{Histogram, Metrics};
use osier_snapshot::{ServiceRef, Workload};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder,
};
use prometheus_client::metrics::MetricType;

use crate::flags::Flag;
use crate::gate::Sides;

/// The most series that are kept apart; later ones share one per status.
const MOST_SERIES: usize = 20_000;

/// What tells series apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Key {
    source: u64,
    destination: u64,
    service: u64,
    status: u16,
    flag: Flag,
    grpc: bool,
    sides: Sides,
    /// Stands for every series that is one too many.
    overflow: bool,
}

/// One ended call, as metrics see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) sides: Sides,
    pub(crate) source: Option<&'a Workload>,
    pub(crate) gateway: Option<&'a str>,
    pub(crate) destination: Option<&'a Workload>,
    pub(crate) service: Option<&'a ServiceRef>,
    pub(crate) status: u16,
    pub(crate) flag: Flag,
    pub(crate) grpc: bool,
    pub(crate) micros: u64,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
}

/// The request metrics of a proxy.
#[derive(Debug, Default)]
pub(crate) struct RequestMetrics {
    series: ArcSwap<HashMap<Key, Arc<Series>>>,
    growing: Mutex<()>,
}

#[derive(Debug)]
struct Series {
    labels: Labels,
    requests: AtomicU64,
    duration: Histogram,
    request_bytes: Histogram,
    response_bytes: Histogram,
}

impl RequestMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Arc<Self> {
        let this = Arc::new(Self::default());
        metrics.register(|registry| registry.register_collector(Box::new(Arc::clone(&this))));
        this
    }

    pub(crate) fn observe(&self, sample: &Sample<'_>) {
        let key = sample.key();
        let table = self.series.load();
        match table.get(&key) {
            Some(series) => series.observe(sample),
            None => self.grow(key, sample).observe(sample),
        }
    }

    fn grow(&self, key: Key, sample: &Sample<'_>) -> Arc<Series> {
        let _one_at_a_time = self.growing.lock();
        let table = self.series.load_full();
        let full = table.len() >= MOST_SERIES;
        let key = if full {
            Key {
                status: key.status,
                overflow: true,
                ..Key::default()
            }
        } else {
            key
        };
        if let Some(series) = table.get(&key) {
            return Arc::clone(series);
        }
        let labels = if full {
            Labels::overflow(sample)
        } else {
            Labels::of(sample)
        };
        let series = Arc::new(Series::new(labels));
        let mut larger = HashMap::clone(&table);
        larger.insert(key, Arc::clone(&series));
        self.series.store(Arc::new(larger));
        series
    }
}

impl Series {
    fn new(labels: Labels) -> Self {
        let (duration, request_bytes, response_bytes) = Default::default();
        Self {
            labels,
            requests: AtomicU64::new(0),
            duration,
            request_bytes,
            response_bytes,
        }
    }

    fn observe(&self, sample: &Sample<'_>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.duration.observe(sample.micros);
        self.request_bytes
            .observe(sample.request_bytes.saturating_mul(1_000));
        self.response_bytes
            .observe(sample.response_bytes.saturating_mul(1_000));
    }
}

impl Sample<'_> {
    fn key(&self) -> Key {
        Key {
            source: self.source.map_or(0, |workload| workload.fingerprint),
            destination: self.destination.map_or(0, |workload| workload.fingerprint),
            service: self.service.map_or(0, |service| service.fingerprint),
            status: self.status,
            flag: self.flag,
            grpc: self.grpc,
            sides: self.sides,
            overflow: false,
        }
    }
}

/// One side of a call.
#[derive(Clone, Debug)]
struct Side {
    workload: Arc<str>,
    namespace: Arc<str>,
    principal: Arc<str>,
    app: Arc<str>,
    version: Arc<str>,
}

impl Side {
    fn of(workload: &Workload) -> Self {
        Self {
            workload: Arc::clone(&workload.workload),
            namespace: Arc::clone(&workload.namespace),
            principal: Arc::clone(&workload.principal),
            app: Arc::clone(&workload.app),
            version: Arc::clone(&workload.version),
        }
    }

    fn named(name: &str) -> Self {
        Self {
            workload: name.into(),
            app: name.into(),
            ..Self::default()
        }
    }
}

impl Side {
    fn values(&self) -> [&str; 6] {
        let canonical = if self.app.is_empty() {
            &self.workload
        } else {
            &self.app
        };
        [
            &self.workload,
            &self.namespace,
            &self.principal,
            &self.app,
            &self.version,
            canonical,
        ]
    }
}

impl Default for Side {
    fn default() -> Self {
        let none: Arc<str> = Arc::from("");
        Self {
            workload: none.clone(),
            namespace: none.clone(),
            principal: none.clone(),
            app: none.clone(),
            version: none,
        }
    }
}

/// Everything that is written beside a series' numbers.
#[derive(Clone, Debug)]
struct Labels {
    source: Side,
    destination: Side,
    service: [Arc<str>; 3],
    status: u16,
    flag: Flag,
    grpc: bool,
    /// Who saw the call here, and reports it.
    sides: Sides,
}

impl Labels {
    fn of(sample: &Sample<'_>) -> Self {
        let gateway = sample.gateway.map(Side::named);
        Self {
            source: sample.source.map(Side::of).or(gateway).unwrap_or_default(),
            destination: sample.destination.map(Side::of).unwrap_or_default(),
            service: sample.service.map_or_else(Default::default, |service| {
                [
                    Arc::clone(&service.host),
                    Arc::clone(&service.name),
                    Arc::clone(&service.namespace),
                ]
            }),
            status: sample.status,
            flag: sample.flag,
            grpc: sample.grpc,
            sides: sample.sides,
        }
    }

    fn overflow(sample: &Sample<'_>) -> Self {
        let nobody = Sample {
            source: None,
            gateway: None,
            destination: None,
            service: None,
            ..*sample
        };
        Self {
            flag: Flag::None,
            grpc: false,
            ..Self::of(&nobody)
        }
    }
}

/// A series' labels, told by one side.
#[derive(Debug)]
struct Told<'a> {
    by: &'static str,
    labels: &'a Labels,
}

impl EncodeLabelSet for Told<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        let Labels {
            source,
            destination,
            service: [host, name, namespace],
            ..
        } = self.labels;
        let security = if self.by == "source" {
            "unknown"
        } else if self.labels.sides.outbound {
            "none"
        } else {
            "mutual_tls"
        };
        let status = self.labels.status.to_string();
        let protocol = if self.labels.grpc { "grpc" } else { "http" };
        let said = [("reporter", self.by)].into_iter();
        let said = said.chain(SOURCE.into_iter().zip(source.values()));
        let said = said.chain(DESTINATION.into_iter().zip(destination.values()));
        let said = said.chain([
            ("destination_service", &**host),
            ("destination_service_name", name),
            ("destination_service_namespace", namespace),
            ("request_protocol", protocol),
            ("response_code", &status),
            ("response_flags", self.labels.flag.letters()),
            ("connection_security_policy", security),
        ]);
        for (key, value) in said {
            let value = if value.is_empty() { "unknown" } else { value };
            EncodeLabel::encode(&(key, value), encoder.encode_label())?;
        }
        Ok(())
    }
}

/// Names of what [`Side::values`] gives, for the caller.
const SOURCE: [&str; 6] = [
    "source_workload",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_canonical_service",
];

/// The same for the called one.
const DESTINATION: [&str; 6] = [
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_canonical_service",
];

impl Series {
    fn told(&self) -> impl Iterator<Item = Told<'_>> {
        let Sides { outbound, inbound } = self.labels.sides;
        let source = outbound.then_some("source").into_iter();
        source
            .chain(inbound.then_some("destination"))
            .map(|by| Told {
                by,
                labels: &self.labels,
            })
    }
}

impl Collector for RequestMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let table = self.series.load_full();
        let help = "Requests that the mesh carried";
        let mut counter =
            encoder.encode_descriptor("istio_requests", help, None, MetricType::Counter)?;
        for (series, told) in table
            .values()
            .flat_map(|series| series.told().map(move |told| (series, told)))
        {
            let requests = series.requests.load(Ordering::Relaxed);
            counter
                .encode_family(&told)?
                .encode_counter::<Told<'_>, _, f64>(&requests, None)?;
        }
        for (name, help, of) in HISTOGRAMS {
            let mut histogram =
                encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            for (series, told) in table
                .values()
                .flat_map(|series| series.told().map(move |told| (series, told)))
            {
                let (sum, count, buckets) = of(series).read();
                histogram
                    .encode_family(&told)?
                    .encode_histogram::<Told<'_>>(sum, count, &buckets, None)?;
            }
        }
        Ok(())
    }
}

/// A histogram's name, its help text, and where a series keeps it.
type Described = (&'static str, &'static str, fn(&Series) -> &Histogram);

const HISTOGRAMS: [Described; 3] = [
    (
        "istio_request_duration_milliseconds",
        "Time until the last byte of the response",
        |series| &series.duration,
    ),
    ("istio_request_bytes", "Size of request bodies", |series| {
        &series.request_bytes
    }),
    (
        "istio_response_bytes",
        "Size of response bodies",
        |series| &series.response_bytes,
    ),
];
