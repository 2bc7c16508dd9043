//! `osier plugin`: from an empty folder to a tested component. What runs a plugin here is what runs it in production.

mod answer;
mod bench;
mod build;
mod dev;
mod fixture;
mod inspect;
mod new;
mod project;
mod replay;
mod test;
mod workbench;

use crate::arguments::PluginCommand;
use crate::exit::Failure;
use anyhow::Context as _;

/// Runs a subcommand of `osier plugin`.
///
/// # Errors
/// See [`Failure`].
pub(crate) fn run(command: &PluginCommand) -> Result<(), Failure> {
    match command {
        PluginCommand::New(new) => new::run(new)?,
        PluginCommand::Build(build) => build::run(build)?,
        PluginCommand::Inspect(inspect) => inspect::run(inspect)?,
        PluginCommand::Test(test) => test::run(test)?,
        PluginCommand::Replay(replay) => replay::run(replay)?,
        PluginCommand::Bench(bench) => bench::run(bench)?,
        PluginCommand::Push(push) => {
            let file = &push.file;
            let component = std::fs::read(file).with_context(|| file.display().to_string())?;
            super::block_on(super::image::push(component, &push.reference, &push.access))?;
        }
        PluginCommand::Dev(dev) => super::block_on(dev::run(dev))?,
    }
    Ok(())
}
