//! The host capability `osier:policy/http`, as the host implements it.

use super::instance::{Host, Lost};
use osier_capabilities::{Freshness, Incoming, Outgoing, Outside, OutsideError};
use std::time::Duration;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

/// Start of the interface's name; any version of its track links.
pub(super) const INTERFACE: &str = "osier:policy/http@";
const LINKED: &str = "osier:policy/http@0.1.0";

type Asked<'a> = StoreContextMut<'a, Host>;
type Wire<T> = (Result<T, WireError>,);

/// `osier:policy/http.error`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
enum WireError {
    #[component(name = "not-granted")]
    NotGranted,
    #[component(name = "invalid")]
    Invalid,
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "unavailable")]
    Unavailable,
    #[component(name = "too-large")]
    TooLarge,
}

impl From<OutsideError> for WireError {
    fn from(error: OutsideError) -> Self {
        match error {
            OutsideError::NotGranted => Self::NotGranted,
            OutsideError::Invalid => Self::Invalid,
            OutsideError::Timeout => Self::Timeout,
            OutsideError::Unavailable => Self::Unavailable,
            OutsideError::TooLarge => Self::TooLarge,
        }
    }
}

/// `osier:policy/http.request`.
#[derive(ComponentType, Lift)]
#[component(record)]
struct WireRequest {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Option<u64>,
}

/// `osier:policy/http.response`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct WireResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// `osier:policy/http.freshness`.
#[derive(Clone, Copy, ComponentType, Lift)]
#[component(record)]
struct WireFreshness {
    refresh: u64,
    ttl: u64,
}

/// `osier:policy/http.document`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct WireDocument {
    revision: u64,
    body: Option<Vec<u8>>,
}

/// Links the interface; the way outside is in each store.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut calls = linker.instance(LINKED)?;
    calls.func_wrap(
        "send",
        |host: Asked<'_>, (wire,): (WireRequest,)| -> wasmtime::Result<Wire<WireResponse>> {
            let request = Outgoing {
                method: wire.method,
                url: wire.url,
                headers: wire.headers,
                body: wire.body,
                timeout: wire.timeout.map(Duration::from_nanos),
            };
            let (answer,) = answer(host, |outside| outside.send(request));
            let wire = |answer: Incoming| WireResponse {
                status: answer.status,
                headers: answer.headers,
                body: answer.body,
            };
            Ok((answer.map(wire),))
        },
    )?;
    calls.func_wrap(
        "read-document",
        |host: Asked<'_>,
         (url, wire, known): (String, WireFreshness, u64)|
         -> wasmtime::Result<Wire<WireDocument>> {
            let freshness = Freshness {
                refresh: Duration::from_nanos(wire.refresh),
                ttl: Duration::from_nanos(wire.ttl),
            };
            let (found,) = answer(host, |outside| outside.document(&url, freshness, known));
            let wire = |found: osier_capabilities::Document| WireDocument {
                revision: found.revision,
                body: found.body.map(Into::into),
            };
            Ok((found.map(wire),))
        },
    )
}

/// Asks outside. Where there is no answer, whoever called the guest learns it too.
fn answer<T>(
    mut host: Asked<'_>,
    ask: impl FnOnce(&dyn Outside) -> Result<T, OutsideError>,
) -> Wire<T> {
    let outside = host.data().outside().cloned();
    let outside = outside.ok_or(OutsideError::NotGranted);
    let answered = outside.and_then(|outside| ask(outside.as_ref()));
    if answered.as_ref().is_err_and(|error| error.is_loss()) {
        host.data_mut().lose(Lost::Calls);
    }
    (answered.map_err(WireError::from),)
}
