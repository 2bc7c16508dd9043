//! Waiting for a condition: ask, and ask again until it holds or the deadline passes.

use anyhow::{Context, Result};
use std::future::Future;
use std::time::{Duration, Instant};

/// How long one pause between two questions is. Short enough to measure with, long enough to leave the machine to the node.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks until the answer is `Ok(Some(_))`; after the deadline fails with `what` and the last answer's error.
pub async fn until<T, F>(what: &str, limit: Duration, mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + limit;
    loop {
        let answer = ask().await;
        if let Ok(Some(value)) = answer {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            let late = || format!("{what}: not within {limit:?}");
            return match answer {
                Err(error) => Err(error).with_context(late),
                Ok(_) => Err(anyhow::anyhow!(late())),
            };
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same for code without a runtime.
pub fn until_blocking<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = ask();
        if let Ok(Some(value)) = answer {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            let late = || format!("{what}: not within {limit:?}");
            return match answer {
                Err(error) => Err(error).with_context(late),
                Ok(_) => Err(anyhow::anyhow!(late())),
            };
        }
        std::thread::sleep(PAUSE);
    }
}
