//! `osier plugin`: from an empty folder to a tested component. What runs a plugin here is what runs it in production.

mod build;
mod fixture;
mod inspect;
mod new;
mod project;
mod test;
mod workbench;

use crate::arguments::PluginCommand;
use crate::exit::Failure;

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
    }
    Ok(())
}
