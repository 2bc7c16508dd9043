//! The host capability `osier:policy/metrics`, as the host implements it.

use super::instance::Host;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

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
#[derive(Clone, Debug, PartialEq, ComponentType, Lift)]
#[component(record)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub enum MeterKind {
    /// They are added.
    #[component(name = "counter")]
    Counter,
    /// The last one counts.
    #[component(name = "gauge")]
    Gauge,
    /// They are counted by size.
    #[component(name = "distribution")]
    Distribution,
}

/// Why a number was not taken (`osier:policy/metrics.error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum MeterError {
    /// The name is not in the plugin's grants.
    #[error("the metric is not granted")]
    #[component(name = "not-granted")]
    NotGranted,
    /// The name was not defined, or is defined otherwise.
    #[error("the metric is defined otherwise")]
    #[component(name = "mismatch")]
    Mismatch,
    /// The plugin has as many series as it may.
    #[error("too many series")]
    #[component(name = "full")]
    Full,
    /// The definition or the value makes no sense.
    #[error("the definition or value makes no sense")]
    #[component(name = "invalid")]
    Invalid,
}

/// Start of the interface's name; any version of its track links.
pub(super) const INTERFACE: &str = "osier:policy/metrics@";
const LINKED: &str = "osier:policy/metrics@0.1.0";

type Asked<'a> = StoreContextMut<'a, Host>;
type Wire = (Result<(), MeterError>,);

/// Links the interface; the numbers themselves are in the host.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut metrics = linker.instance(LINKED)?;
    metrics.func_wrap(
        "define",
        |host: Asked<'_>, (definition,): (MeterDefinition,)| -> wasmtime::Result<Wire> {
            Ok(answer(&host, |meters| meters.define(definition)))
        },
    )?;
    metrics.func_wrap(
        "record-value",
        |host: Asked<'_>,
         (name, labels, value): (String, Vec<String>, f64)|
         -> wasmtime::Result<Wire> {
            Ok(answer(&host, |meters| meters.record(&name, labels, value)))
        },
    )
}

fn answer(host: &Asked<'_>, ask: impl FnOnce(&dyn Meters) -> Result<(), MeterError>) -> Wire {
    let meters = host.data().meters().ok_or(MeterError::NotGranted);
    (meters.and_then(|meters| ask(meters.as_ref())),)
}
