//! The certificates with which this node calls and is called: one for each identity of its pods, and one for its own listener.
//! They are asked for when first needed and again before they end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use osier_identity::{Credential, validity};
use osier_process::Boxed;
use osier_process::clock;
use parking_lot::Mutex;
use rustls::ClientConfig;

use osier_upstream::{Failure, Shown};

/// Identities that are kept at once; those that ended go first.
const MOST: usize = 4_096;
/// A certificate must be there after this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the cluster's authority for certificates.
pub trait Certify: Send + Sync {
    /// A certificate for a key that is made for it: for calls as this SPIFFE identity, or for the node's own listener.
    fn certify(&self, spiffe: Option<&str>) -> Boxed<'static, Result<Certified, String>>;
}

/// A certificate, and whom its owner believes.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The authority, PEM.
    pub authority_pem: String,
    /// What is shown.
    pub credential: Credential,
}

/// An identity that can be used.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) config: Arc<ClientConfig>,
    /// The same for hosts that are no nodes.
    pub(super) shown: Shown,
    /// Which of its certificates it is: connections of earlier ones are not used again.
    pub(super) edition: Instant,
    renew: Instant,
    end: Instant,
}

/// When to renew a certificate and when it ends.
pub(crate) fn lifetime(certified: &Certified) -> Option<(Instant, Instant)> {
    let (begin, end) = validity(&certified.credential.certificate_pem).ok()?;
    let left = u64::try_from(end - clock::now().as_second()).ok()?;
    let life = u64::try_from(end - begin).ok()?;
    let (now, end) = (Instant::now(), Duration::from_secs(left));
    let renew = end.saturating_sub(Duration::from_secs(life / 3));
    Some((now + renew, now + end))
}

/// All identities of this node.
pub(super) struct Identities {
    certify: Arc<dyn Certify>,
    known: Mutex<HashMap<Arc<str>, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    identity: Mutex<Option<Identity>>,
    /// One request at a time for each identity.
    asking: tokio::sync::Mutex<()>,
}

impl Identities {
    pub(super) fn new(certify: Arc<dyn Certify>) -> Self {
        Self {
            certify,
            known: Mutex::default(),
        }
    }

    /// What to call as this identity with. A certificate that is to be renewed is used while the authority cannot be reached.
    pub(super) async fn get(&self, spiffe: &Arc<str>) -> Result<Identity, Failure> {
        let slot = self.slot(spiffe);
        let known = |at: fn(&Identity) -> Instant| {
            let identity = slot.identity.lock();
            identity
                .clone()
                .filter(|identity| Instant::now() < at(identity))
        };
        if let Some(fresh) = known(|identity| identity.renew) {
            return Ok(fresh);
        }
        let _turn = slot.asking.lock().await;
        if let Some(fresh) = known(|identity| identity.renew) {
            return Ok(fresh);
        }
        let asked = tokio::time::timeout(PATIENCE, self.certify.certify(Some(spiffe))).await;
        let asked =
            asked.unwrap_or_else(|_| Err("the authority did not answer in time".to_owned()));
        match asked.and_then(|certified| usable(&certified)) {
            Ok(identity) => {
                *slot.identity.lock() = Some(identity.clone());
                Ok(identity)
            }
            Err(reason) => known(|identity| identity.end).ok_or_else(|| {
                Failure::Unreachable(format!("no certificate for {spiffe}: {reason}").into())
            }),
        }
    }

    fn slot(&self, spiffe: &Arc<str>) -> Arc<Slot> {
        let mut known = self.known.lock();
        if let Some(slot) = known.get(spiffe) {
            return Arc::clone(slot);
        }
        if known.len() >= MOST {
            let now = Instant::now();
            known.retain(|_, slot| {
                slot.identity
                    .lock()
                    .as_ref()
                    .is_some_and(|one| now < one.end)
            });
        }
        if known.len() >= MOST {
            // Which one goes does not matter: it is asked for again when it is needed.
            let any = known.keys().next().cloned();
            any.and_then(|any| known.remove(&any));
        }
        Arc::clone(known.entry(Arc::clone(spiffe)).or_default())
    }
}

fn usable(certified: &Certified) -> Result<Identity, String> {
    let credential = Some(&certified.credential);
    let config = osier_identity::client_config(&certified.authority_pem, credential);
    let (renew, end) = lifetime(certified).ok_or("the certificate has ended")?;
    let Credential {
        certificate_pem,
        key_pem,
    } = &certified.credential;
    let pem = osier_snapshot::Credential::Pem {
        certificate: certificate_pem.as_str().into(),
        key: key_pem.as_str().into(),
    };
    Ok(Identity {
        shown: Shown {
            credential: Arc::new(pem),
            authority: Some(certified.authority_pem.as_str().into()),
        },
        config: config.map_err(|error| error.to_string())?,
        edition: Instant::now(),
        renew,
        end,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use osier_identity::{Authority, Subject, request};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    /// Certificates begin some minutes early: of one this short less than a third is left at once.
    const SHORT: Duration = Duration::from_secs(60);

    /// An authority whose certificates have these lives, one after the other, and then it cannot be reached.
    struct Issuing {
        authority: Authority,
        lives: Vec<Duration>,
        asked: AtomicUsize,
    }

    impl Issuing {
        fn lives(lives: &[Duration]) -> Arc<Self> {
            let folder = tempfile::tempdir().unwrap();
            Arc::new(Self {
                authority: Authority::open(folder.path()).unwrap(),
                lives: lives.to_vec(),
                asked: AtomicUsize::new(0),
            })
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    impl Certify for Issuing {
        fn certify(&self, spiffe: Option<&str>) -> Boxed<'static, Result<Certified, String>> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            let subject = Subject {
                spiffe: spiffe.map(ToOwned::to_owned),
                ..Subject::default()
            };
            let issued = self.lives.get(number).map(|life| {
                let wanted = request(&subject).unwrap();
                let signed = self.authority.certify(&wanted.request_pem, &subject, *life);
                Certified {
                    authority_pem: self.authority.certificate_pem().to_owned(),
                    credential: Credential {
                        certificate_pem: signed.unwrap(),
                        key_pem: wanted.key_pem,
                    },
                }
            });
            let answer = issued.ok_or_else(|| "nobody answers".to_owned());
            Box::pin(std::future::ready(answer))
        }
    }

    fn account() -> Arc<str> {
        "spiffe://cluster.local/ns/default/sa/a".into()
    }

    #[tokio::test]
    async fn a_certificate_is_used_until_its_last_third_and_then_the_next_one_is() {
        let issuing = Issuing::lives(&[SHORT, LONG]);
        let identities = Identities::new(issuing.clone());
        let first = identities.get(&account()).await.unwrap();
        let second = identities.get(&account()).await.unwrap();
        assert!(second.edition > first.edition && second.shown != first.shown);
        for _ in 0..3 {
            let again = identities.get(&account()).await.unwrap();
            assert_eq!(again.edition, second.edition);
        }
        assert_eq!(issuing.asked(), 2);
    }

    #[tokio::test]
    async fn one_that_is_to_be_renewed_is_used_while_the_authority_is_away() {
        let issuing = Issuing::lives(&[SHORT]);
        let identities = Identities::new(issuing.clone());
        let first = identities.get(&account()).await.unwrap();
        let again = identities.get(&account()).await.unwrap();
        assert_eq!((again.edition, issuing.asked()), (first.edition, 2));
        let other = "spiffe://cluster.local/ns/default/sa/b".into();
        let refused = identities.get(&other).await.err().unwrap();
        assert!(refused.to_string().contains("nobody answers"), "{refused}");
    }
}
