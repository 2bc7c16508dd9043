//! The host capability `osier:policy/log`, as the host implements it.

use super::instance::Host;
use osier_capabilities::LogError;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower};

/// Start of the interface's name; any version of its track links.
pub(super) const INTERFACE: &str = "osier:policy/log@";
const LINKED: &str = "osier:policy/log@0.1.0";

type Asked<'a> = StoreContextMut<'a, Host>;
type Wire = (Result<(), WireError>,);

/// `osier:policy/log.error`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
enum WireError {
    #[component(name = "not-granted")]
    NotGranted,
    #[component(name = "too-long")]
    TooLong,
    #[component(name = "unavailable")]
    Unavailable,
}

impl From<LogError> for WireError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::NotGranted => Self::NotGranted,
            LogError::TooLong => Self::TooLong,
            LogError::Unavailable => Self::Unavailable,
        }
    }
}

/// Links the interface; the streams themselves are in each store.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.instance(LINKED)?.func_wrap(
        "write",
        |host: Asked<'_>, (stream, text): (String, String)| -> wasmtime::Result<Wire> {
            let streams = host.data().streams().ok_or(LogError::NotGranted);
            let written = streams.and_then(|streams| streams.write(&stream, &text));
            Ok((written.map_err(WireError::from),))
        },
    )
}
