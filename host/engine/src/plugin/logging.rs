//! The host capability `osier:policy/log`, as the host implements it.

use super::instance::Host;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower};

/// Logs of the node that a plugin may write to. No function waits.
pub trait LogStreams: Send + Sync {
    /// Writes one line.
    ///
    /// # Errors
    /// See [`LogError`].
    fn write(&self, stream: &str, text: &str) -> Result<(), LogError>;
}

/// Why a line was not written (`osier:policy/log.error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum LogError {
    /// The stream is not in the plugin's grants.
    #[error("the stream is not granted")]
    #[component(name = "not-granted")]
    NotGranted,
    /// The line is too long.
    #[error("the line is too long")]
    #[component(name = "too-long")]
    TooLong,
    /// The node cannot write now.
    #[error("the log is unavailable")]
    #[component(name = "unavailable")]
    Unavailable,
}

/// Start of the interface's name; any version of its track links.
pub(super) const INTERFACE: &str = "osier:policy/log@";
const LINKED: &str = "osier:policy/log@0.1.0";

type Asked<'a> = StoreContextMut<'a, Host>;
type Wire = (Result<(), LogError>,);

/// Links the interface; the streams themselves are in each store.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.instance(LINKED)?.func_wrap(
        "write",
        |host: Asked<'_>, (stream, text): (String, String)| -> wasmtime::Result<Wire> {
            let streams = host.data().streams().ok_or(LogError::NotGranted);
            let written = streams.and_then(|streams| streams.write(&stream, &text));
            Ok((written,))
        },
    )
}
