//! `osier`: a service mesh and an orchestrator made of WebAssembly, in one binary.
//!
//! This crate is the composition root: it reads arguments and the environment, binds addresses, builds the rooms in
//! order, joins them through their traits, and turns outcomes into exit codes. It has no rules of its own.

#[macro_use]
mod output;

mod arguments;
mod bundled;
mod cli;
mod configuration;
mod exit;
mod join;
mod up;

use clap::Parser as _;
use std::process::ExitCode;

/// Objects come and go by the thousand: jemalloc gives their pages back to the machine after a second (`.cargo/config.toml`
/// says so at build), where glibc keeps them for good.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("osier: {failure}");
            failure.code()
        }
    }
}
