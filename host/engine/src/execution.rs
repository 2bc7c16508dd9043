//! What is run beside a container: the container's program once more, or a function that its component exports, in a fresh instance
//! with standard streams of its own.

use crate::command::{exit, unmade};
use crate::engine::{Core, Kind};
use crate::guest::{self, Account, Guest, Ledger};
use crate::metered::Metered;
use crate::program::{Command, Ended};
use crate::stdio::Console;
use crate::values;
use crate::{ComponentError, Container, Exit};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;
use wasmtime::Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre, Val};

/// What of a component is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// `wasi:cli/run`, with all arguments.
    Run,
    /// An exported function, `NAME` or `INTERFACE#NAME`, with the arguments after the first.
    Function(String),
}

/// A run that has not begun.
pub struct Execution {
    core: Arc<Core>,
    kind: Kind,
    pre: InstancePre<Guest>,
    entry: Entry,
    container: Container,
    ledger: Arc<Ledger>,
}

/// Where the guest is entered.
enum Entry {
    Run(Command),
    Function(ComponentExportIndex),
}

impl Execution {
    pub(crate) fn new(
        (core, kind, pre): (Arc<Core>, Kind, InstancePre<Guest>),
        container: Container,
        account: &Account,
        program: &Program,
    ) -> Result<Self, ComponentError> {
        let missing = |export: &str| ComponentError::Export {
            export: export.to_owned(),
            remedy: "run something that the component exports".to_owned(),
        };
        let entry = match program {
            Program::Run => Command::of(&pre, kind == Kind::Concurrent)
                .map(Entry::Run)
                .ok_or_else(|| missing("wasi:cli/run"))?,
            Program::Function(name) => find(pre.component(), name)
                .map(Entry::Function)
                .ok_or_else(|| missing(name))?,
        };
        Ok(Self {
            core,
            kind,
            pre,
            entry,
            container,
            ledger: account.0.clone(),
        })
    }

    /// Runs it to its end. Dropping the future ends it, even if it loops.
    pub async fn run(self, console: Console) -> Exit {
        let side = self.core.side(self.kind);
        let said = [console.stdout.clone(), console.stderr.clone()];
        let made = guest::store_beside(
            (&side.engine, &side.clock),
            &self.container,
            &self.ledger,
            console,
        );
        let (mut store, slice) = match made {
            Ok(made) => made,
            Err(error) => return unmade(&error),
        };
        let Self {
            pre,
            entry,
            container,
            ledger,
            ..
        } = self;
        let run = async move {
            let ended = match entry {
                Entry::Run(command) => command.run(&mut store).await,
                Entry::Function(index) => {
                    let arguments = container.args.get(1..).unwrap_or_default();
                    function((&pre, &index), &mut store, arguments, &said).await
                }
            };
            (store, ended)
        };
        let (store, ended) = Metered::new(run, slice, ledger.clone()).await;
        exit(&ledger, &store, ended)
    }
}

/// Calls a function; what it returns is printed, and an error that it returns fails the run.
async fn function(
    (pre, index): (&InstancePre<Guest>, &ComponentExportIndex),
    store: &mut Store<Guest>,
    arguments: &[String],
    [stdout, stderr]: &[Sender<Bytes>; 2],
) -> Ended {
    let instance = pre.instantiate_async(&mut *store).await?;
    let mut results = Vec::new();
    let called = call(&instance, index, store, (arguments, &mut results)).await?;
    let (text, outcome) = match called {
        Err(words) => (words, Err(())),
        Ok(()) => values::printed(results.first()),
    };
    let to = if outcome.is_ok() { stdout } else { stderr };
    // Whoever asked may be gone.
    if !text.is_empty() {
        let _heard = to.send(format!("{text}\n").into()).await;
    }
    Ok(outcome)
}

/// The call itself, or what is wrong with its arguments.
async fn call(
    instance: &Instance,
    index: &ComponentExportIndex,
    store: &mut Store<Guest>,
    (arguments, results): (&[String], &mut Vec<Val>),
) -> wasmtime::Result<Result<(), String>> {
    let Some(function) = instance.get_func(&mut *store, index) else {
        return Ok(Err("it is no function".to_owned()));
    };
    let ty = function.ty(&*store);
    let params: Vec<_> = ty
        .params()
        .map(|(name, ty)| (name.to_owned(), ty))
        .collect();
    let params = match values::arguments(&params, arguments) {
        Ok(params) => params,
        Err(words) => return Ok(Err(words)),
    };
    results.resize(ty.results().len(), Val::Bool(false));
    function.call_async(store, &params, results).await.map(Ok)
}

/// Full names of the functions of a component.
pub(crate) fn functions(component: &Component) -> Vec<String> {
    let engine = component.engine();
    let mut found = Vec::new();
    for (name, export) in component.component_type().exports(engine) {
        match export.ty {
            ComponentItem::ComponentFunc(_) => found.push(name.to_owned()),
            ComponentItem::ComponentInstance(instance) => {
                let members = instance.exports(engine);
                let functions =
                    members.filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
                found.extend(functions.map(|(member, _)| format!("{name}#{member}")));
            }
            _ => {}
        }
    }
    found
}

fn find(component: &Component, name: &str) -> Option<ComponentExportIndex> {
    if !functions(component).iter().any(|known| known == name) {
        return None;
    }
    match name.split_once('#') {
        None => component.get_export_index(None, name),
        Some((interface, member)) => {
            let within = component.get_export_index(None, interface)?;
            component.get_export_index(Some(&within), member)
        }
    }
}
