//! Capabilities of plugins: which import needs which grant, and a linker that holds no more than is granted.
//!
//! Standard libraries import much that they never use. What is harmless without a grant is always linked and does
//! nothing: standard streams that lead nowhere, an empty environment, no directories, fixed hash seeds. What would make
//! a plugin's answer depend on something else than its question is linked only by grant, and refused by name.

use super::PluginGrants;
use super::instance::Host;
use super::prompt::{Prompt, PromptIo, Table};
use super::{calls, keyvalue, logging, metering};
use crate::ComponentError;
use crate::stdio::Sink;
use wasmtime::Engine;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sync};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiView};

/// An import that needs a grant.
struct Granted {
    /// What its name starts with.
    import: &'static str,
    /// What to write into a Plugin's specification.
    remedy: &'static str,
    given: fn(&PluginGrants) -> bool,
}

const GRANTED: [Granted; 6] = [
    Granted {
        import: "wasi:clocks/",
        remedy: "set spec.grants.clock: true",
        given: |grants| grants.clock,
    },
    Granted {
        import: "wasi:random/random@",
        remedy: "set spec.grants.random: true",
        given: |grants| grants.random,
    },
    Granted {
        import: keyvalue::INTERFACE,
        remedy: "name its buckets in spec.grants.keyvalue",
        given: |grants| grants.keyvalue.is_some(),
    },
    Granted {
        import: logging::INTERFACE,
        remedy: "name its streams in spec.grants.logs",
        given: |grants| grants.streams.is_some(),
    },
    Granted {
        import: metering::INTERFACE,
        remedy: "name its metrics in spec.grants.metrics",
        given: |grants| grants.meters.is_some(),
    },
    Granted {
        import: calls::INTERFACE,
        remedy: "name the origins that it calls in spec.grants.http; other calls are refused one by one",
        given: |_| true,
    },
];

/// Imports that are linked without a grant.
const INERT: [&str; 4] = [
    "wasi:io/",
    "wasi:cli/",
    "wasi:filesystem/",
    "wasi:random/insecure",
];

/// What one import of a plugin needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it is always linked and reaches nothing outside.
    Nothing,
    /// A grant; the text says what to write into the Plugin object.
    Grant(&'static str),
    /// It is offered to no plugin.
    NotOffered,
}

/// What an import needs, by its full name.
pub(crate) fn need(import: &str) -> Need {
    if INERT.iter().any(|prefix| import.starts_with(prefix)) {
        return Need::Nothing;
    }
    granted(import).map_or(Need::NotOffered, |granted| Need::Grant(granted.remedy))
}

fn granted(import: &str) -> Option<&'static Granted> {
    GRANTED
        .iter()
        .find(|granted| import.starts_with(granted.import))
}

/// Refuses the first import that is not granted, unless the plugin says that it can do without: `optional` names interfaces of
/// `osier:policy`, whose functions then answer that nothing is granted.
pub(super) fn check(
    imports: &[String],
    grants: &PluginGrants,
    optional: &str,
) -> Result<(), ComponentError> {
    let dispensable = |import: &str| {
        let mut words = optional.split_whitespace();
        words.any(|word| import.starts_with(&format!("osier:policy/{word}@")))
    };
    for import in imports {
        let remedy = match need(import) {
            Need::Nothing => continue,
            Need::Grant(_) if dispensable(import) => continue,
            Need::Grant(_) if granted(import).is_some_and(|granted| (granted.given)(grants)) => {
                continue;
            }
            Need::Grant(remedy) => remedy.to_owned(),
            Need::NotOffered => "a plugin may import wasi:io, wasi:cli, wasi:clocks, wasi:random and osier:policy's counters, http, log and metrics".to_owned(),
        };
        return Err(ComponentError::Import {
            import: import.clone(),
            remedy,
        });
    }
    Ok(())
}

/// A linker for plugins with these grants.
pub(super) fn linker(engine: &Engine, grants: &PluginGrants) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    link_io(l)?;
    link_cli(l)?;
    filesystem::preopens::add_to_linker::<Host, WasiFilesystem>(l, Host::filesystem)?;
    sync::filesystem::types::add_to_linker::<Host, WasiFilesystem>(l, Host::filesystem)?;
    random::insecure::add_to_linker::<Host, WasiRandom>(l, |host| host.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<Host, WasiRandom>(l, |host| host.ctx().ctx.random())?;
    if grants.random {
        random::random::add_to_linker::<Host, WasiRandom>(l, |host| host.ctx().ctx.random())?;
    }
    if grants.clock {
        clocks::wall_clock::add_to_linker::<Host, WasiClocks>(l, Host::clocks)?;
        clocks::monotonic_clock::add_to_linker::<Host, WasiClocks>(l, Host::clocks)?;
    }
    // Without a grant their functions say so.
    keyvalue::link(l)?;
    logging::link(l)?;
    metering::link(l)?;
    calls::link(l)?;
    Ok(linker)
}

fn link_io(l: &mut Linker<Host>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::bindings::io::error::add_to_linker::<Host, Table>(l, |host| host.table())?;
    sync::io::poll::add_to_linker::<Host, PromptIo>(l, |host| Prompt(host.table()))?;
    sync::io::streams::add_to_linker::<Host, PromptIo>(l, |host| Prompt(host.table()))
}

fn link_cli(l: &mut Linker<Host>) -> wasmtime::Result<()> {
    cli::exit::add_to_linker::<Host, WasiCli>(l, Host::cli)?;
    cli::environment::add_to_linker::<Host, WasiCli>(l, Host::cli)?;
    cli::stdin::add_to_linker::<Host, WasiCli>(l, Host::cli)?;
    cli::stdout::add_to_linker::<Host, WasiCli>(l, Host::cli)?;
    cli::stderr::add_to_linker::<Host, WasiCli>(l, Host::cli)?;
    cli::terminal_input::add_to_linker::<Host, WasiCli>(l, Host::cli)?;
    cli::terminal_output::add_to_linker::<Host, WasiCli>(l, Host::cli)?;
    cli::terminal_stdin::add_to_linker::<Host, WasiCli>(l, Host::cli)?;
    cli::terminal_stdout::add_to_linker::<Host, WasiCli>(l, Host::cli)?;
    cli::terminal_stderr::add_to_linker::<Host, WasiCli>(l, Host::cli)
}

/// The WASI context of one instance.
pub(super) fn context(grants: &PluginGrants) -> WasiCtx {
    let mut context = WasiCtx::builder();
    context
        .envs(&grants.env)
        .insecure_random_seed(0)
        .allow_tcp(false)
        .allow_udp(false);
    context.insecure_random(wasmtime_wasi::Deterministic::new(vec![0]));
    if let Some(logs) = &grants.logs {
        context
            .stdout(Sink::new(logs.clone(), false))
            .stderr(Sink::new(logs.clone(), false));
    }
    context.build()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_not_granted_is_refused_by_name_with_the_remedy() {
        let refused =
            |import: &str, grants: &PluginGrants| check(&[import.to_owned()], grants, "").err();
        let none = PluginGrants::default();
        for (import, remedy) in [
            ("wasi:clocks/wall-clock@0.2.6", "grants.clock"),
            ("wasi:random/random@0.2.6", "grants.random"),
            ("osier:policy/counters@0.1.0", "grants.keyvalue"),
            ("osier:policy/log@0.1.0", "grants.logs"),
            ("osier:policy/metrics@0.1.0", "grants.metrics"),
            ("wasi:sockets/tcp@0.2.6", "may import"),
            ("wasi:http/outgoing-handler@0.2.6", "may import"),
        ] {
            let text = refused(import, &none).unwrap().to_string();
            assert!(text.contains(import) && text.contains(remedy), "{text}");
        }
        assert_eq!(refused("wasi:cli/stderr@0.2.6", &none), None);
        assert_eq!(refused("wasi:random/insecure-seed@0.2.6", &none), None);
        // Each call says for itself that it is not granted.
        assert_eq!(refused("osier:policy/http@0.1.0", &none), None);
        let log = ["osier:policy/log@0.1.0".to_owned()];
        assert_eq!(check(&log, &none, "metrics log"), Ok(()));
        let clock = PluginGrants {
            clock: true,
            ..PluginGrants::default()
        };
        assert_eq!(refused("wasi:clocks/wall-clock@0.2.6", &clock), None);
    }
}
