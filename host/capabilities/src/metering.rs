//! The numbers that plugins define (`osier:policy/metrics`), as whoever keeps them offers them.

/// Numbers of a plugin that the node shows. No function waits.
pub trait Meters: Send + Sync {
    /// Defines a family; doing so again with the same words changes nothing.
    ///
    /// # Errors
    /// See [`MeterError`].
    fn define(&self, definition: MeterDefinition) -> Result<(), MeterError>;

    /// Records a value under the values of the family's labels.
    ///
    /// # Errors
    /// See [`MeterError`].
    fn record(&self, name: &str, labels: Vec<String>, value: f64) -> Result<(), MeterError>;
}

/// A family of numbers (`osier:policy/metrics.definition`).
#[derive(Clone, Debug, PartialEq)]
pub struct MeterDefinition {
    /// Its name.
    pub name: String,
    /// How values become one number.
    pub kind: MeterKind,
    /// For people.
    pub description: String,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Distributions: upper bounds of the buckets, growing.
    pub buckets: Vec<f64>,
}

/// How values become one number (`osier:policy/metrics.kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeterKind {
    /// They are added.
    Counter,
    /// The last one counts.
    Gauge,
    /// They are counted by size.
    Distribution,
}

/// Why a number was not taken (`osier:policy/metrics.error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeterError {
    /// The name is not in the plugin's grants.
    #[error("the metric is not granted")]
    NotGranted,
    /// The name was not defined, or is defined otherwise.
    #[error("the metric is defined otherwise")]
    Mismatch,
    /// The plugin has as many series as it may.
    #[error("too many series")]
    Full,
    /// The definition or the value makes no sense.
    #[error("the definition or value makes no sense")]
    Invalid,
}
