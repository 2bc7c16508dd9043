//! A `wasi:cli` command for tests: prints its arguments and chosen environment, ticks, and ends with the code it is told.
//!
//! `TICKS` (default: for ever) and `TICK_MS` (default 100) say how long; `EXIT_CODE` (default 0) says how: WASI 0.2 tells the host only whether it is zero. `SHOW_` variables are printed.

use std::process::ExitCode;
use std::time::Duration;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn main() -> ExitCode {
    println!(
        "arguments {:?}",
        std::env::args().skip(1).collect::<Vec<_>>()
    );
    for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("SHOW_")) {
        println!("{name}={value}");
    }
    let pause = Duration::from_millis(number("TICK_MS").unwrap_or(100));
    let ticks = number("TICKS").unwrap_or(u64::MAX);
    for tick in 0..ticks {
        println!("tick {tick}");
        std::thread::sleep(pause);
    }
    eprintln!("done");
    ExitCode::from(number("EXIT_CODE").unwrap_or(0) as u8)
}
