//! Containers that run once and exit.

use crate::engine::{Core, Kind};
use crate::guest::{self, Account, Guest, Ledger};
use crate::metered::Metered;
use crate::program::Command;
use crate::{CallError, Container, Exit, Usage, trap};
use osier_process::CancellationToken;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi::I32Exit;

/// Why a program does not start where the pool is full: each has an instance for as long as it runs.
const FULL: &str = "the node has no room for another instance: stop other programs, join a node, or raise maxPods (and vm.max_map_count, if the node says at its start that this is too low)";

/// A container that runs `wasi:cli/run`. Clones share the run.
#[derive(Clone)]
pub struct CommandContainer(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    kind: Kind,
    command: Command,
    container: Container,
    ledger: Arc<Ledger>,
    killed: CancellationToken,
}

impl CommandContainer {
    pub(crate) fn new(
        (core, kind): (Arc<Core>, Kind),
        command: Command,
        container: Container,
    ) -> Self {
        let ledger = Ledger::of(&container);
        Self(Arc::new(Inner {
            core,
            kind,
            command,
            container,
            ledger,
            killed: CancellationToken::new(),
        }))
    }

    /// Runs it to its end. A second call is a second run, of a fresh instance. Dropping the future ends the run.
    pub async fn run(&self) -> Exit {
        let side = self.0.core.side(self.0.kind);
        let made = guest::store(&side.engine, &side.clock, &self.0.container, &self.0.ledger);
        let (mut store, slice) = match made {
            Ok(made) => made,
            Err(error) => return unmade(&error),
        };
        let inner = Arc::clone(&self.0);
        let run = async move {
            let ended = inner.run(&mut store).await;
            (store, ended)
        };
        // The guest yields at the end of every slice, so that the kill is seen even if it loops.
        tokio::select! {
            biased;
            () = self.0.killed.cancelled() => Exit::Killed,
            (store, ended) = Metered::new(run, slice, self.0.ledger.clone()) => exit(&self.0.ledger, &store, ended),
        }
    }

    /// Ends the run now, and every later one at once. Works on a guest that loops.
    pub fn kill(&self) {
        self.0.killed.cancel();
    }

    /// What it has used.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.ledger.usage()
    }

    /// To which what runs beside it is accounted.
    #[must_use]
    pub fn account(&self) -> Account {
        Account(self.0.ledger.clone())
    }

    /// What it was made with.
    #[must_use]
    pub fn container(&self) -> &Container {
        &self.0.container
    }
}

impl Inner {
    /// Instances that serve nobody give way to a program.
    async fn run(&self, store: &mut Store<Guest>) -> wasmtime::Result<Result<(), ()>> {
        match self.command.run(store).await {
            Err(error) if error.is::<PoolConcurrencyLimitError>() => {
                self.core.reaper().cool_all();
                self.command.run(store).await
            }
            ended => ended,
        }
    }
}

/// The end of a run that did not begin.
pub(crate) fn unmade(error: &wasmtime::Error) -> Exit {
    Exit::Trap {
        reason: error.to_string(),
        backtrace: String::new(),
    }
}

/// How a run ended.
pub(crate) fn exit(
    ledger: &Ledger,
    store: &Store<Guest>,
    ended: wasmtime::Result<Result<(), ()>>,
) -> Exit {
    let error = match ended {
        Ok(Ok(())) => return Exit::Code(0),
        Ok(Err(())) => return Exit::Code(1),
        Err(error) => error,
    };
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Exit::Code(exit.0);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        let (reason, backtrace) = (FULL.to_owned(), String::new());
        return Exit::Trap { reason, backtrace };
    }
    ledger.traps.fetch_add(1, Ordering::Relaxed);
    match trap::classify(&error, &store.data().memory) {
        CallError::OutOfMemory { .. } => Exit::OutOfMemory,
        CallError::Trap { reason, backtrace } => Exit::Trap { reason, backtrace },
        other => Exit::Trap {
            reason: other.to_string(),
            backtrace: String::new(),
        },
    }
}
