//! Programs, of either WASI: what is run of a component that has a `main`.

use crate::guest::Guest;
use wasmtime::Store;
use wasmtime::component::{Accessor, InstancePre};
use wasmtime_wasi::{p2, p3};

/// How a guest returned.
pub(crate) type Ended = wasmtime::Result<Result<(), ()>>;

/// `wasi:cli/run`.
#[derive(Clone)]
pub(crate) enum Command {
    /// Of WASI 0.2.
    Serial(p2::bindings::CommandPre<Guest>),
    /// Of WASI 0.3.
    Concurrent(p3::bindings::CommandPre<Guest>),
}

impl Command {
    /// What is run of a component, if anything is.
    pub(crate) fn of(pre: &InstancePre<Guest>, modern: bool) -> Option<Self> {
        let serial = p2::bindings::CommandPre::new(pre.clone()).ok();
        let concurrent = || p3::bindings::CommandPre::new(pre.clone()).ok();
        let concurrent = modern.then(concurrent).flatten().map(Self::Concurrent);
        concurrent.or(serial.map(Self::Serial))
    }

    /// Runs it to its end, in a fresh instance.
    pub(crate) async fn run(&self, store: &mut Store<Guest>) -> Ended {
        match self {
            Self::Serial(pre) => {
                let command = pre.instantiate_async(&mut *store).await?;
                command.wasi_cli_run().call_run(store).await
            }
            Self::Concurrent(pre) => {
                let command = pre.instantiate_async(&mut *store).await?;
                let run =
                    async |guest: &Accessor<Guest>| command.wasi_cli_run().call_run(guest).await;
                store.run_concurrent(run).await.flatten()
            }
        }
    }
}
