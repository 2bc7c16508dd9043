//! What people and scripts read of this program. A reader that goes away early (`osier get pods | head -1`) ends it without a word, as the signal
//! would end a program that does not ignore it; what a server says is lost without harm.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

/// The exit code of a program that SIGPIPE ends, as shells show it.
const BROKEN_PIPE: i32 = 128 + 13;

/// Writes to standard output. Does not return if nobody can read it.
pub(crate) fn write(text: Arguments<'_>) {
    let mut out = stdout().lock();
    if let Err(error) = out.write_fmt(text) {
        lost(&error);
    }
}

/// The same, of bytes.
pub(crate) fn bytes(data: &[u8]) {
    let mut out = stdout().lock();
    if let Err(error) = out.write_all(data).and_then(|()| out.flush()) {
        lost(&error);
    }
}

/// Writes to standard output, where it can.
pub(crate) fn say(text: Arguments<'_>) {
    let _nobody_listens = stdout().lock().write_fmt(text);
}

/// Writes to standard error, where it can.
pub(crate) fn complain(text: Arguments<'_>) {
    let _nobody_to_tell = std::io::stderr().lock().write_fmt(text);
}

fn lost(error: &std::io::Error) -> ! {
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(BROKEN_PIPE);
    }
    complain(format_args!("osier: standard output: {error}\n"));
    std::process::exit(1);
}

/// Instead of the standard library's, which panics when nobody reads.
macro_rules! println {
    ($($text:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// What a server says of itself.
macro_rules! announce {
    ($($text:tt)*) => { $crate::output::say(format_args!("{}\n", format_args!($($text)*))) };
}

/// Likewise.
macro_rules! print {
    ($($text:tt)*) => { $crate::output::write(format_args!($($text)*)) };
}

/// Likewise.
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::output::complain(format_args!("{}\n", format_args!($($text)*))) };
}
