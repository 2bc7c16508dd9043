//! Tokens of service accounts for the volumes of pods: asked for once, and again before they end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_client::{Client, ClientError};
use osier_podspec::Wish;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

/// A token is replaced when this much of a hundred of its life is over, as kubelet does.
const WORN: u32 = 80;
/// No token is used longer than this before it is replaced.
const OLDEST: Duration = Duration::from_secs(24 * 3600);
/// Keeps the tokens of the pods of a node.
pub(crate) struct TokenKeeper {
    client: Client,
    /// By the pod's uid: no more entries than pods, and in each no more than its volumes ask for.
    kept: Mutex<BTreeMap<String, BTreeMap<Wish, Kept>>>,
}

#[derive(Debug, Clone)]
struct Kept {
    token: String,
    since: Instant,
    lasts: Duration,
}

impl Kept {
    fn is_worn(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.since);
        age > OLDEST || age * 100 > self.lasts * WORN
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= self.lasts
    }
}

impl TokenKeeper {
    /// Asks with this client.
    pub(crate) fn new(client: Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            kept: Mutex::default(),
        })
    }

    /// A token of the pod's account that has most of its life before it.
    ///
    /// # Errors
    /// When none can be had, and the one before has ended.
    pub(crate) async fn token(&self, pod: &Object, wish: &Wish) -> Result<String, ClientError> {
        let before = self.before(pod.uid(), wish);
        if let Some(kept) = before.as_ref().filter(|kept| !kept.is_worn(Instant::now())) {
            return Ok(kept.token.clone());
        }
        match self.ask(pod, wish).await {
            Ok(fresh) => {
                let token = fresh.token.clone();
                let mut kept = self.kept.lock();
                let of_pod = kept.entry(pod.uid().to_owned()).or_default();
                of_pod.insert(wish.clone(), fresh);
                Ok(token)
            }
            Err(error) => match before.filter(|kept| !kept.is_over(Instant::now())) {
                Some(kept) => {
                    tracing::warn!(%error, pod = pod.name(), "a token could not be renewed yet");
                    Ok(kept.token)
                }
                None => Err(error),
            },
        }
    }

    /// Forgets the tokens of a pod that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.kept.lock().remove(uid);
    }

    fn before(&self, uid: &str, wish: &Wish) -> Option<Kept> {
        self.kept.lock().get(uid)?.get(wish).cloned()
    }

    async fn ask(&self, pod: &Object, wish: &Wish) -> Result<Kept, ClientError> {
        let since = Instant::now();
        let account = match pod.text(&["spec", "serviceAccountName"]) {
            "" => "default",
            name => name,
        };
        let of = (pod.namespace(), account);
        let answer = self.client.token(of, wish.spec(pod)).await?;
        let seconds = answer
            .get(&["spec", "expirationSeconds"])
            .and_then(Value::as_u64);
        Ok(Kept {
            token: answer.text(&["status", "token"]).to_owned(),
            since,
            lasts: Duration::from_secs(seconds.unwrap_or(wish.seconds)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_worn_before_it_is_over() {
        let since = Instant::now();
        let kept = |seconds| Kept {
            token: String::new(),
            since,
            lasts: Duration::from_secs(seconds),
        };
        let after = |seconds| since + Duration::from_secs(seconds);
        assert!(!kept(1000).is_worn(after(800)));
        assert!(kept(1000).is_worn(after(801)));
        assert!(!kept(1000).is_over(after(999)));
        assert!(kept(1000).is_over(after(1000)));
        let year = kept(365 * 86_400);
        assert!(year.is_worn(after(86_401)) && !year.is_over(after(86_401)));
    }
}
