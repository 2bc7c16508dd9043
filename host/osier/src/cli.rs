//! The subcommands: each is a short story told with the rooms' own words.

mod apply;
mod describe;
mod explain;
mod get;
mod image;
mod kinds;
mod logs;
mod manifests;
mod plugin;
mod registry;
mod store;
mod token;
mod wait;
mod why;

use crate::arguments::{Arguments, Command, ConfigCommand, Connection};
use crate::configuration;
use crate::exit::Failure;
use crate::output;
use anyhow::Context as _;
use clap::CommandFactory as _;
use osier_client::{Client, Https, Kubeconfig};
use osier_process::Tasks;
use std::sync::Arc;

/// Runs what was asked for.
///
/// # Errors
/// See [`Failure`].
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Up(up) => crate::up::up(&up),
        Command::Node(node) => crate::up::join(&node),
        Command::Proxy(proxy) => crate::up::beside(&proxy),
        Command::Token(token) => block_on(token::run(&token.command)),
        Command::Store(store) => store::run(&store.command),
        Command::Image(image) => image::run(&image.command),
        Command::Plugin(plugin) => plugin::run(&plugin.command),
        Command::Apply(files) => block_on(apply::apply(&files)),
        Command::Delete(files) => block_on(apply::delete(&files)),
        Command::Get(get) => block_on(get::get(&get)),
        Command::Describe(describe) => block_on(describe::describe(&describe)),
        Command::Explain(explain) => block_on(explain::explain(&explain)),
        Command::Logs(logs) => block_on(logs::logs(&logs)),
        Command::Wait(wait) => block_on(wait::wait(&wait)),
        Command::Why(why) => block_on(why::why(&why)),
        Command::Config(config) => match config.command {
            ConfigCommand::Print(up) => print_configuration(&up),
        },
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "osier", &mut script);
            output::bytes(&script);
            Ok(())
        }
    }
}

fn print_configuration(up: &crate::arguments::Up) -> Result<(), Failure> {
    let settings = configuration::resolve(up)?;
    print!(
        "{}",
        serde_saphyr::to_string(&settings).context("the configuration cannot be written")?
    );
    Ok(())
}

fn block_on<T>(story: impl Future<Output = anyhow::Result<T>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime did not start")?;
    Ok(runtime.block_on(story)?)
}

/// The API that a client subcommand talks to.
fn connect(connection: &Connection) -> anyhow::Result<Client> {
    let path = match &connection.kubeconfig {
        Some(path) => path.clone(),
        None => configuration::resolve_data_dir(None)?.join("kubeconfig"),
    };
    let kubeconfig = Kubeconfig::read(&path)?;
    Ok(Client::new(Arc::new(Https::from_kubeconfig(
        &kubeconfig,
        Tasks::new(),
    )?)))
}
