//! Numbers that the node shows at `/metrics`. Grant the name in the Plugin object: `spec.grants.metrics: [NAME]`.

use crate::bindings::host::osier::policy::metrics as host;

/// Why a number was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The name is not in the plugin's grants.
    NotGranted,
    /// The name was not defined, or is defined otherwise.
    Mismatch,
    /// The plugin has as many series as it may.
    Full,
    /// The definition or the value makes no sense.
    Invalid,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Error::NotGranted => "the metric is not granted; add it to spec.grants.metrics",
            Error::Mismatch => "the metric is not defined, or otherwise",
            Error::Full => "the metric has as many series as it may",
            Error::Invalid => "the definition or the value makes no sense",
        })
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::NotGranted => Error::NotGranted,
            host::Error::Mismatch => Error::Mismatch,
            host::Error::Full => Error::Full,
            host::Error::Invalid => Error::Invalid,
        }
    }
}

/// How values become one number.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// They are added.
    Counter,
    /// The last one counts.
    Gauge,
    /// They are counted by size, below each of these bounds.
    Distribution(Vec<f64>),
}

/// A family of numbers.
#[derive(Clone, Debug)]
pub struct Family(String);

impl Family {
    /// Defines a family; doing so in every instance is right, and the same each time.
    pub fn define(
        name: &str,
        kind: Kind,
        description: &str,
        labels: &[String],
    ) -> Result<Self, Error> {
        let (kind, buckets) = match kind {
            Kind::Counter => (host::Kind::Counter, Vec::new()),
            Kind::Gauge => (host::Kind::Gauge, Vec::new()),
            Kind::Distribution(buckets) => (host::Kind::Distribution, buckets),
        };
        host::define(&host::Definition {
            name: name.to_owned(),
            kind,
            description: description.to_owned(),
            labels: labels.to_vec(),
            buckets,
        })?;
        Ok(Self(name.to_owned()))
    }

    /// Records a value under the values of the labels, in the order of the definition.
    pub fn record(&self, labels: &[String], value: f64) -> Result<(), Error> {
        Ok(host::record_value(&self.0, labels, value)?)
    }
}
