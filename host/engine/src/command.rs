//! Containers that run once and exit.
use crate::{Exit, Usage};

/// A container that runs `wasi:cli/run`. Clones share the run.
#[derive(Clone)]
pub struct CommandContainer {}

impl CommandContainer {
    /// Runs it to its end. A second call is a second run, of a fresh instance.
    pub async fn run(&self) -> Exit {
        todo!()
    }

    /// Ends the run now, and every later one at once. Works on a guest that loops.
    pub fn kill(&self) {
        todo!()
    }

    /// What it has used.
    #[must_use]
    pub fn usage(&self) -> Usage {
        todo!()
    }
}
