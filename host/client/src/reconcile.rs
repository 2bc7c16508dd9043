//! The thin loop of every controller: take a key, reconcile it, and ask for it again if it failed.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use osier_api::Object;
use osier_process::Tasks;

use crate::error::ClientError;
use crate::queue::WorkQueue;

/// Namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Empty for what has none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// How a reconciliation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The world is as wanted, as far as this key goes.
    Done,
    /// Look again after this long even if nothing changes.
    Again(Duration),
}

impl Key {
    /// Of these two.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Of an object.
    pub fn of(object: &Object) -> Self {
        Self::new(object.namespace(), object.name())
    }

    /// As the client takes it.
    pub fn pair(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }
}

/// Runs `workers` tasks that reconcile the queue's keys until the tasks stop.
pub fn run<K, F, R>(
    name: &'static str,
    queue: &WorkQueue<K>,
    (workers, tasks): (usize, &Tasks),
    reconcile: F,
) where
    K: Clone + Eq + Hash + Debug + Send + Sync + 'static,
    F: Fn(K) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Outcome, ClientError>> + Send,
{
    for _ in 0..workers {
        let (queue, reconcile, stopping) = (queue.clone(), reconcile.clone(), tasks.stopping());
        tasks.spawn(name, async move {
            tokio::select! {
                () = work(name, queue, reconcile) => {}
                () = stopping.cancelled() => {}
            }
        });
    }
}

async fn work<K, F, R>(name: &'static str, queue: WorkQueue<K>, reconcile: F)
where
    K: Clone + Eq + Hash + Debug,
    F: Fn(K) -> R,
    R: Future<Output = Result<Outcome, ClientError>>,
{
    while let Some(taken) = queue.take().await {
        match reconcile(taken.key().clone()).await {
            Ok(Outcome::Done) => taken.succeed(),
            Ok(Outcome::Again(delay)) => taken.again_after(delay),
            Err(error) => {
                let key = format!("{:?}", taken.key());
                let delay = taken.retry();
                tracing::debug!(controller = name, key, %error, ?delay, "will try again");
            }
        }
    }
}

/// An object that is gone needs no more work: not found is success.
pub fn gone_is_fine<T>(result: Result<T, ClientError>) -> Result<(), ClientError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
