//! The containers that run now, for what happens beside and in them: commands of people, and people who are attached.

use std::collections::HashMap;
use std::sync::Arc;

use osier_engine::{Account, CommandContainer, Container, HttpContainer, Usage, Workload};
use osier_process::CancellationToken;
use parking_lot::Mutex;
use tokio::io::{AsyncWriteExt, DuplexStream};

/// All of a node, by the uid of their pod.
#[derive(Default)]
pub(crate) struct Live(Mutex<HashMap<String, Vec<Arc<LiveContainer>>>>);

/// One that runs.
pub(crate) struct LiveContainer {
    pub(crate) name: String,
    pub(crate) body: Running,
    /// What it is made of.
    pub(crate) workload: Workload,
    /// Its standard input, if it was started with one.
    pub(crate) input: Option<Arc<Input>>,
    /// Cancelled when it is stopped.
    pub(crate) stop: CancellationToken,
}

/// The two forms of a container.
#[derive(Clone)]
pub(crate) enum Running {
    /// Serves HTTP until it is stopped.
    Serves(HttpContainer),
    /// Runs to its end.
    Runs(CommandContainer),
}

impl Running {
    /// What it has used.
    pub(crate) fn usage(&self) -> Usage {
        match self {
            Self::Serves(container) => container.usage(),
            Self::Runs(container) => container.usage(),
        }
    }

    /// To which what runs beside it is accounted.
    pub(crate) fn account(&self) -> Account {
        match self {
            Self::Serves(container) => container.account(),
            Self::Runs(container) => container.account(),
        }
    }

    /// Its sandbox.
    pub(crate) fn container(&self) -> &Container {
        match self {
            Self::Serves(container) => container.container(),
            Self::Runs(container) => container.container(),
        }
    }
}

/// The writing end of a container's standard input.
pub(crate) struct Input {
    /// Ends with the first who was attached (`stdinOnce`).
    once: bool,
    pipe: tokio::sync::Mutex<Option<DuplexStream>>,
}

impl Input {
    pub(crate) fn new(pipe: DuplexStream, once: bool) -> Arc<Self> {
        let pipe = tokio::sync::Mutex::new(Some(pipe));
        Arc::new(Self { once, pipe })
    }

    /// Hands bytes to the container, waiting until it has room; false when it reads no more.
    pub(crate) async fn give(&self, bytes: &[u8]) -> bool {
        match &mut *self.pipe.lock().await {
            Some(pipe) => pipe.write_all(bytes).await.is_ok(),
            None => false,
        }
    }

    /// Somebody who was attached writes no more.
    pub(crate) async fn leave(&self) {
        if self.once {
            self.pipe.lock().await.take();
        }
    }
}

impl Live {
    /// It runs from now on, in place of its life before.
    pub(crate) fn add(&self, uid: &str, container: LiveContainer) {
        let mut pods = self.0.lock();
        let containers = pods.entry(uid.to_owned()).or_default();
        containers.retain(|other| other.name != container.name);
        containers.push(Arc::new(container));
    }

    /// It runs no more.
    pub(crate) fn remove(&self, uid: &str, name: &str) {
        let mut pods = self.0.lock();
        if let Some(containers) = pods.get_mut(uid) {
            containers.retain(|other| other.name != name);
            if containers.is_empty() {
                pods.remove(uid);
            }
        }
    }

    /// The container, if it runs.
    pub(crate) fn find(&self, uid: &str, name: &str) -> Option<Arc<LiveContainer>> {
        let pods = self.0.lock();
        let containers = pods.get(uid)?;
        containers
            .iter()
            .find(|container| container.name == name)
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn standard_input_ends_with_who_was_attached_if_it_is_for_once() {
        for once in [false, true] {
            let (near, mut far) = tokio::io::duplex(8);
            let input = Input::new(near, once);
            assert!(input.give(b"a").await);
            input.leave().await;
            assert_eq!(input.give(b"b").await, !once);
            drop(input);
            let mut heard = String::new();
            assert!(far.read_to_string(&mut heard).await.is_ok());
            assert_eq!(heard, if once { "a" } else { "ab" });
        }
    }
}
