//! Names to addresses by the system's resolver, remembered for a while.
//!
//! The system's resolver tells no time to live, so an answer is fresh for a fixed time. A stale one is used once more while it is
//! asked for again behind the request's back; only a name that nobody knows yet is waited for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::Tasks;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long an answer is used without asking again.
const FRESH: Duration = Duration::from_secs(30);
/// How long an answer is used at all.
const USABLE: Duration = Duration::from_secs(300);
/// Names that are remembered; the oldest goes first.
const MOST_NAMES: usize = 1_024;
/// Questions at once: each holds a thread of the blocking pool.
const MOST_QUESTIONS: usize = 16;

type Addresses = Arc<[IpAddr]>;

/// What is known of one name.
struct Known {
    addresses: Addresses,
    at: Instant,
    asking: bool,
}

/// Names and their addresses.
#[derive(Clone)]
pub struct Resolver {
    known: Arc<Mutex<HashMap<Arc<str>, Known>>>,
    questions: Arc<Semaphore>,
    tasks: Tasks,
}

impl Resolver {
    /// One that knows no name yet; what it asks behind a request's back ends with the tasks.
    pub fn new(tasks: Tasks) -> Self {
        Self {
            known: Arc::default(),
            questions: Arc::new(Semaphore::new(MOST_QUESTIONS)),
            tasks,
        }
    }

    /// The addresses of a name, at least one. The caller bounds the time.
    pub async fn addresses(&self, name: &str) -> Result<Addresses, String> {
        if let Some(addresses) = self.remembered(name) {
            return Ok(addresses);
        }
        let question = self.questions.acquire().await;
        // Others may have asked the same while this one waited.
        match self.remembered(name) {
            Some(addresses) => Ok(addresses),
            None => {
                let answer = ask(name).await;
                drop(question);
                let addresses = answer?;
                self.remember(name, &addresses);
                Ok(addresses)
            }
        }
    }

    fn remembered(&self, name: &str) -> Option<Addresses> {
        let mut known = self.known.lock();
        let entry = known.get_mut(name)?;
        let age = entry.at.elapsed();
        if age >= USABLE {
            return None;
        }
        if age >= FRESH && !entry.asking {
            entry.asking = true;
            self.refresh(name);
        }
        Some(Arc::clone(&entry.addresses))
    }

    fn refresh(&self, name: &str) {
        let (this, name) = (self.clone(), name.to_owned());
        self.tasks.spawn("resolve", async move {
            let _question = this.questions.acquire().await;
            match tokio::time::timeout(FRESH, ask(&name)).await {
                Ok(Ok(addresses)) => this.remember(&name, &addresses),
                _ => this.asked_in_vain(&name),
            }
        });
    }

    fn asked_in_vain(&self, name: &str) {
        if let Some(entry) = self.known.lock().get_mut(name) {
            entry.asking = false;
        }
    }

    fn remember(&self, name: &str, addresses: &Addresses) {
        let mut known = self.known.lock();
        if known.len() >= MOST_NAMES && !known.contains_key(name) {
            let oldest = known.iter().min_by_key(|(_, entry)| entry.at);
            if let Some(oldest) = oldest.map(|(name, _)| Arc::clone(name)) {
                known.remove(&oldest);
            }
        }
        let entry = Known {
            addresses: Arc::clone(addresses),
            at: Instant::now(),
            asking: false,
        };
        known.insert(name.into(), entry);
    }
}

async fn ask(name: &str) -> Result<Addresses, String> {
    let found = tokio::net::lookup_host((name, 0)).await;
    let found = found.map_err(|error| format!("the name {name:?} has no address: {error}"))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|found| found.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(format!("the name {name:?} has no address"));
    }
    Ok(addresses.into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn resolver() -> Resolver {
        Resolver::new(Tasks::new())
    }

    #[tokio::test]
    async fn a_name_is_remembered_and_forgotten() {
        let resolver = resolver();
        let here: Addresses = Arc::from([IpAddr::from([192, 0, 2, 1])]);
        resolver.remember("a.test", &here);
        assert_eq!(resolver.addresses("a.test").await.unwrap(), here);
        tokio::time::pause();
        tokio::time::advance(USABLE).await;
        assert_eq!(resolver.remembered("a.test"), None);
    }

    #[tokio::test]
    async fn the_number_of_names_is_bounded() {
        let resolver = resolver();
        let here: Addresses = Arc::from([IpAddr::from([192, 0, 2, 1])]);
        for number in 0..MOST_NAMES + 5 {
            resolver.remember(&format!("{number}.test"), &here);
        }
        assert_eq!(resolver.known.lock().len(), MOST_NAMES);
        assert_eq!(resolver.remembered("0.test"), None);
    }

    #[tokio::test]
    async fn localhost_has_an_address() {
        let found = resolver().addresses("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
