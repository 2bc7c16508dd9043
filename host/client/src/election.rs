//! Leader election by a Lease, as client-go's: of those that want a role, one has it, renews it, and gives it up when it cannot.
//!
//! A Lease ends for others when they have seen no renewal for its duration by their own clock: clocks are never compared.
//! The leader stops well before that when its renewals fail, so that there are never two.

use std::time::Duration;

use osier_api::Object;
use osier_api::resources::LEASES;
use osier_process::{Tasks, clock};
use serde_json::json;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::ClientError;

/// A Lease that was not renewed for so long is free.
const LIFE: Duration = Duration::from_secs(15);
/// The leader gives up when it could not renew for so long.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries, of the leader and of those who wait.
const AGAIN: Duration = Duration::from_secs(2);

/// Who wants which role.
#[derive(Clone, Debug)]
pub struct Candidacy {
    /// The namespace of the Lease.
    pub namespace: &'static str,
    /// Its name, which is that of the role.
    pub name: &'static str,
    /// Who stands: the same after a restart, so that it need not wait for itself.
    pub identity: String,
}

/// What to do about a Lease.
#[derive(Debug, PartialEq, Eq)]
enum Move {
    /// There is none: make it.
    Create,
    /// It is ours: renew it.
    Renew,
    /// It is free, or its holder is gone: take it.
    Take,
    /// It is held.
    Wait,
}

/// The Lease as it was last seen to change, and when.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    lease: Object,
    since: Instant,
}

/// Decides from what is known of a Lease.
fn decide(seen: Option<&Seen>, identity: &str, now: Instant) -> Move {
    let Some(seen) = seen else {
        return Move::Create;
    };
    let holder = seen.lease.text(&["spec", "holderIdentity"]);
    let seconds = seen.lease.get(&["spec", "leaseDurationSeconds"]);
    let life = seconds
        .and_then(serde_json::Value::as_u64)
        .map_or(LIFE, Duration::from_secs);
    match holder {
        own if own == identity => Move::Renew,
        "" => Move::Take,
        _ if now.saturating_duration_since(seen.since) > life => Move::Take,
        _ => Move::Wait,
    }
}

/// The Lease as its new or present holder writes it.
fn held(lease: &Object, identity: &str, now: &str) -> Object {
    let mut held = lease.clone();
    let same = lease.text(&["spec", "holderIdentity"]) == identity;
    let before = lease.get(&["spec", "leaseTransitions"]);
    let before = before.and_then(serde_json::Value::as_u64).unwrap_or(0);
    held.set(&["spec", "holderIdentity"], json!(identity));
    held.set(&["spec", "leaseDurationSeconds"], json!(LIFE.as_secs()));
    held.set(&["spec", "renewTime"], json!(now));
    if !same {
        held.set(&["spec", "acquireTime"], json!(now));
        held.set(&["spec", "leaseTransitions"], json!(before + 1));
    }
    held
}

/// Stands for a role until the tasks stop. Whenever it is won, `start` is called with tasks that are stopped when it is lost.
pub async fn lead(client: Client, candidacy: Candidacy, tasks: Tasks, start: impl Fn(&Tasks)) {
    let mut election = Election {
        client,
        candidacy,
        seen: None,
        renewed: Instant::now(),
    };
    let stopping = tasks.stopping();
    while !stopping.is_cancelled() {
        tokio::select! {
            () = election.win() => {}
            () = stopping.cancelled() => return,
        }
        let (role, identity) = (election.candidacy.name, election.candidacy.identity.clone());
        tracing::info!(role, identity, "leads");
        let branch = tasks.branch();
        start(&branch);
        tokio::select! {
            () = election.hold() => tracing::warn!(role, identity, "leads no longer: the lease could not be renewed"),
            () = stopping.cancelled() => {}
        }
        branch.stop();
        if stopping.is_cancelled() {
            election.release().await;
        }
    }
}

struct Election {
    client: Client,
    candidacy: Candidacy,
    seen: Option<Seen>,
    /// When the last renewal that was made began.
    renewed: Instant,
}

impl Election {
    /// Returns when the role is won.
    async fn win(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, role = self.candidacy.name, "no vote"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Returns when the role must be given up.
    async fn hold(&mut self) {
        loop {
            tokio::time::sleep(AGAIN).await;
            let end = self.renewed + RENEW_WITHIN;
            match tokio::time::timeout_at(end, self.attempt()).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::debug!(%error, role = self.candidacy.name, "not renewed");
                }
            }
        }
    }

    /// One look at the Lease and one write; whether it is ours now.
    async fn attempt(&mut self) -> Result<bool, ClientError> {
        let begun = Instant::now();
        self.look().await?;
        let identity = self.candidacy.identity.clone();
        let now = clock::micros(clock::now());
        let written = match (decide(self.seen.as_ref(), &identity, begun), &self.seen) {
            (Move::Renew | Move::Take, Some(seen)) => {
                let lease = held(&seen.lease, &identity, &now);
                self.client.replace(&LEASES, &lease).await
            }
            (Move::Create, _) => {
                let new = Object::new(&LEASES, self.candidacy.namespace, self.candidacy.name);
                let lease = held(&new, &identity, &now);
                self.client.create(&LEASES, &lease).await
            }
            _ => return Ok(false),
        };
        match written {
            Ok(lease) => self.saw(lease),
            // Another was faster, or an earlier try of ours that was not answered.
            Err(error) if error.is_conflict() => self.look().await?,
            Err(error) => return Err(error),
        }
        let ours = self.seen.as_ref().is_some_and(|seen| {
            let holder = seen.lease.text(&["spec", "holderIdentity"]);
            holder == identity
        });
        if ours {
            self.renewed = begun;
        }
        Ok(ours)
    }

    async fn look(&mut self) -> Result<(), ClientError> {
        let (namespace, name) = (self.candidacy.namespace, self.candidacy.name);
        match self.client.get(&LEASES, namespace, name).await {
            Ok(lease) => self.saw(lease),
            Err(error) if error.is_not_found() => self.seen = None,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn saw(&mut self, lease: Object) {
        if self.seen.as_ref().is_none_or(|seen| seen.lease != lease) {
            let since = Instant::now();
            self.seen = Some(Seen { lease, since });
        }
    }

    /// Lets others take the role at once.
    async fn release(&mut self) {
        let Some(seen) = &self.seen else {
            return;
        };
        let mut lease = seen.lease.clone();
        lease.set(&["spec", "holderIdentity"], json!(""));
        lease.set(&["spec", "leaseDurationSeconds"], json!(1));
        if let Err(error) = self.client.replace(&LEASES, &lease).await {
            tracing::debug!(%error, role = self.candidacy.name, "the lease was not given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, since: Instant) -> Option<Seen> {
        let mut lease = Object::new(&LEASES, "kube-system", "role");
        lease.set(
            &["spec"],
            json!({"holderIdentity": holder, "leaseDurationSeconds": 15}),
        );
        Some(Seen { lease, since })
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_taken_when_no_renewal_was_seen_for_its_duration() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(decide(None, "a", start), Move::Create);
        let own = lease("a", start);
        assert_eq!(decide(own.as_ref(), "a", at(100)), Move::Renew);
        let free = lease("", start);
        assert_eq!(decide(free.as_ref(), "a", start), Move::Take);
        let other = lease("b", start);
        assert_eq!(decide(other.as_ref(), "a", at(15)), Move::Wait);
        assert_eq!(decide(other.as_ref(), "a", at(16)), Move::Take);
    }

    #[test]
    fn who_takes_a_lease_is_counted_who_renews_it_is_not() {
        let new = Object::new(&LEASES, "kube-system", "role");
        let first = held(&new, "a", "t1");
        let again = held(&first, "a", "t2");
        let next = held(&again, "b", "t3");
        let field = |lease: &Object, name| lease.get(&["spec", name]).cloned();
        assert_eq!(field(&again, "acquireTime"), Some(json!("t1")));
        assert_eq!(field(&again, "renewTime"), Some(json!("t2")));
        assert_eq!(field(&next, "acquireTime"), Some(json!("t3")));
        assert_eq!(field(&next, "leaseTransitions"), Some(json!(2)));
    }
}
