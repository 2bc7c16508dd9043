//! `wasi:logging`: lines in the container's own log, from a level on.

use crate::guest::Guest;
use bindings::wasi::logging::logging::{self, Level};
use osier_capabilities::LogLevel;
use wasmtime::component::{HasSelf, Linker};

/// Bytes of one message; what is longer is cut.
const MOST_BYTES: usize = 16 << 10;
/// The interface as wasmCloud's components import it: without a version.
const UNVERSIONED: &str = "wasi:logging/logging";

mod bindings {
    #![allow(missing_docs, reason = "generated from wit/wasi/logging")]
    wasmtime::component::bindgen!({
        path: "../../wit/wasi/logging",
        world: "wasi:logging/imports",
    });
}

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    logging::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)?;
    linker.instance(UNVERSIONED)?.func_wrap(
        "log",
        |mut store, (level, context, message): (Level, String, String)| {
            logging::Host::log(store.data_mut(), level, context, message);
            Ok(())
        },
    )
}

impl logging::Host for Guest {
    fn log(&mut self, level: Level, context: String, message: String) {
        let level = of(level);
        if self.grants.logging.is_some_and(|least| level >= least) {
            self.write_error(line(level, &context, &message).as_bytes());
        }
    }
}

fn of(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
        Level::Critical => LogLevel::Critical,
    }
}

/// One line, whatever the guest put into its words.
fn line(level: LogLevel, context: &str, message: &str) -> String {
    let about = if context.is_empty() { "" } else { ": " };
    let words = format!("{context}{about}{message}");
    let end = words.floor_char_boundary(MOST_BYTES.min(words.len()));
    let told = words[..end].replace(['\n', '\r'], " ");
    format!("{} {told}\n", level.word().to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_a_bounded_length() {
        assert_eq!(line(LogLevel::Info, "shop", "sold"), "INFO shop: sold\n");
        assert_eq!(line(LogLevel::Warn, "", "a\nb\r"), "WARN a b \n");
        let long = line(LogLevel::Error, "", &"é".repeat(MOST_BYTES));
        assert_eq!(long.len(), "ERROR ".len() + MOST_BYTES + 1);
    }
}
