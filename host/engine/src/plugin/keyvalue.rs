//! The host capability `osier:policy/counters`, as the host implements it.

use super::instance::{Host, Lost};
use osier_capabilities::{KeyValue, KeyValueError, Taken, Terms};
use std::time::Duration;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

/// Start of the interface's name; any version of its track links.
pub(super) const INTERFACE: &str = "osier:policy/counters@";
const LINKED: &str = "osier:policy/counters@0.1.0";

/// `osier:policy/counters.terms`.
#[derive(Clone, Copy, ComponentType, Lift)]
#[component(record)]
struct WireTerms {
    capacity: u64,
    refill: u64,
    interval: u64,
}

/// `osier:policy/counters.taken`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
struct WireTaken {
    amount: u64,
    remaining: u64,
    #[component(name = "retry-after")]
    retry_after: u64,
}

/// `osier:policy/counters.error`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
enum WireError {
    #[component(name = "not-granted")]
    NotGranted,
    #[component(name = "full")]
    Full,
    #[component(name = "unavailable")]
    Unavailable,
}

impl From<KeyValueError> for WireError {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::NotGranted => Self::NotGranted,
            KeyValueError::Full => Self::Full,
            KeyValueError::Unavailable => Self::Unavailable,
        }
    }
}

type Wire<T> = (Result<T, WireError>,);
type Asked<'a> = StoreContextMut<'a, Host>;

/// Links the interface; the counters themselves are in each store.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut counters = linker.instance(LINKED)?;
    counters.func_wrap(
        "get",
        |host: Asked<'_>, (bucket, key): (String, String)| -> wasmtime::Result<Wire<Option<i64>>> {
            Ok(answer(host, |counters| counters.get(&bucket, &key)))
        },
    )?;
    counters.func_wrap(
        "increment",
        |host: Asked<'_>,
         (bucket, key, delta, ttl): (String, String, i64, Option<u64>)|
         -> wasmtime::Result<Wire<i64>> {
            let ttl = ttl.map(Duration::from_nanos);
            Ok(answer(host, |counters| {
                counters.increment(&bucket, &key, delta, ttl)
            }))
        },
    )?;
    counters.func_wrap(
        "take",
        |host: Asked<'_>,
         (bucket, key, amount, terms, best): (String, String, u64, WireTerms, bool)|
         -> wasmtime::Result<Wire<WireTaken>> {
            let WireTerms {
                capacity,
                refill,
                interval,
            } = terms;
            let terms = Terms {
                capacity,
                refill,
                interval,
            };
            let (taken,) = answer(host, |counters| {
                counters.take(&bucket, &key, amount, terms, best)
            });
            let wire = |Taken {
                            amount,
                            remaining,
                            retry_after,
                        }| WireTaken {
                amount,
                remaining,
                retry_after,
            };
            Ok((taken.map(wire),))
        },
    )?;
    counters.func_wrap(
        "now",
        |host: Asked<'_>, (): ()| -> wasmtime::Result<(u64,)> {
            Ok((host.data().counters().map_or(0, |counters| counters.now()),))
        },
    )
}

/// Asks the counters of the store. Where they are lost, whoever called the guest learns it too.
fn answer<T>(
    mut host: Asked<'_>,
    ask: impl FnOnce(&dyn KeyValue) -> Result<T, KeyValueError>,
) -> Wire<T> {
    let counters = host.data().counters().ok_or(KeyValueError::NotGranted);
    let answered = counters.and_then(|counters| ask(counters.as_ref()));
    if matches!(answered, Err(KeyValueError::Unavailable)) {
        host.data_mut().lose(Lost::Counters);
    }
    (answered.map_err(WireError::from),)
}
