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
mod words;

use clap::Parser as _;
use std::process::ExitCode;

/// Objects come and go by the thousand: jemalloc gives their pages back to the machine after a second (`.cargo/config.toml`
/// says so at build), where glibc keeps them for good.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    quiet_store();
    let arguments = arguments::Arguments::parse();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("osier: {failure}");
            failure.code()
        }
    }
}

/// A panic of an engine on a damaged file is an error that the store tells in words; its trace would only hide them.
fn quiet_store() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !osier_apiserver::store_is_guarded() {
            told(panic);
        }
    }));
}
