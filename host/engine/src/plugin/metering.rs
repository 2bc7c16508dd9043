//! The host capability `osier:policy/metrics`, as the host implements it.

use super::instance::Host;
use osier_capabilities::{MeterDefinition, MeterError, MeterKind, Meters};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

/// Start of the interface's name; any version of its track links.
pub(super) const INTERFACE: &str = "osier:policy/metrics@";
const LINKED: &str = "osier:policy/metrics@0.1.0";

type Asked<'a> = StoreContextMut<'a, Host>;
type Wire = (Result<(), WireError>,);

/// `osier:policy/metrics.definition`.
#[derive(ComponentType, Lift)]
#[component(record)]
struct WireDefinition {
    name: String,
    kind: WireKind,
    description: String,
    labels: Vec<String>,
    buckets: Vec<f64>,
}

/// `osier:policy/metrics.kind`.
#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "made by Lift, out of a guest's number")]
enum WireKind {
    #[component(name = "counter")]
    Counter,
    #[component(name = "gauge")]
    Gauge,
    #[component(name = "distribution")]
    Distribution,
}

/// `osier:policy/metrics.error`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
enum WireError {
    #[component(name = "not-granted")]
    NotGranted,
    #[component(name = "mismatch")]
    Mismatch,
    #[component(name = "full")]
    Full,
    #[component(name = "invalid")]
    Invalid,
}

impl From<WireDefinition> for MeterDefinition {
    fn from(wire: WireDefinition) -> Self {
        let kind = match wire.kind {
            WireKind::Counter => MeterKind::Counter,
            WireKind::Gauge => MeterKind::Gauge,
            WireKind::Distribution => MeterKind::Distribution,
        };
        Self {
            name: wire.name,
            kind,
            description: wire.description,
            labels: wire.labels,
            buckets: wire.buckets,
        }
    }
}

impl From<MeterError> for WireError {
    fn from(error: MeterError) -> Self {
        match error {
            MeterError::NotGranted => Self::NotGranted,
            MeterError::Mismatch => Self::Mismatch,
            MeterError::Full => Self::Full,
            MeterError::Invalid => Self::Invalid,
        }
    }
}

/// Links the interface; the numbers themselves are in the host.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut metrics = linker.instance(LINKED)?;
    metrics.func_wrap(
        "define",
        |host: Asked<'_>, (definition,): (WireDefinition,)| -> wasmtime::Result<Wire> {
            Ok(answer(&host, |meters| meters.define(definition.into())))
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
    let told = meters.and_then(|meters| ask(meters.as_ref()));
    (told.map_err(WireError::from),)
}
