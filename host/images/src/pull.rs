//! Brings images from registries into the store: when the pull policy asks for it, a few at once, and as many as the store may hold.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use osier_distribution::{Credentials, PullError, Reference, Registries, VerifyingKey};
use osier_process::Tasks;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{ImageError, ImageStore};

/// Images that are pulled at the same time; others wait.
const AT_ONCE: usize = 4;
/// A pull that takes longer is given up.
const LONGEST: Duration = Duration::from_secs(600);

/// When an image is asked for in its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Each time; what is in the store already is not brought again.
    Always,
    /// When it is not in the store.
    IfNotPresent,
    /// Never.
    Never,
}

/// What a pull did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulled {
    /// With the time that it waited for others.
    pub took: Duration,
    /// Bytes of the component.
    pub size: u64,
}

/// Why an image is not there.
#[derive(Debug, thiserror::Error)]
pub enum PullFailure {
    /// The registry, or the way to it.
    #[error("{0}")]
    Registry(#[from] PullError),
    /// The store.
    #[error(transparent)]
    Store(#[from] ImageError),
    /// It took too long.
    #[error("image {image:?}: not pulled after {seconds} s")]
    Timeout {
        /// The name.
        image: String,
        /// The bound.
        seconds: u64,
    },
    /// It can have no signature.
    #[error(
        "image {image:?} comes from no registry, where signatures are kept: name it oci://REGISTRY/NAME:TAG, or remove spec.verify"
    )]
    Unsignable {
        /// The name.
        image: String,
    },
    /// A key is none.
    #[error("spec.verify.cosignKeys[{place}]: {reason}")]
    Key {
        /// Its place.
        place: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The process ends.
    #[error("the node is stopping")]
    Stopping,
}

/// An image is in use while this lives, and stays in the store.
#[derive(Debug, Clone)]
pub struct InUse(#[expect(dead_code, reason = "it is held, not read")] Arc<()>);

/// Pulls images of one node.
pub struct Puller {
    store: ImageStore,
    registries: Registries,
    /// The node's own, for images whose pod brings none.
    credentials: Credentials,
    /// Bytes that the store may hold.
    limit: u64,
    turns: Semaphore,
    tasks: Tasks,
    used: Mutex<HashMap<String, Weak<()>>>,
}

impl Puller {
    /// Pulls into `store`, which holds at most `limit` bytes of what was pulled.
    #[must_use]
    pub fn new(
        store: ImageStore,
        (registries, credentials): (Registries, Credentials),
        limit: u64,
        tasks: Tasks,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            registries,
            credentials,
            limit,
            turns: Semaphore::new(AT_ONCE),
            tasks,
            used: Mutex::default(),
        })
    }

    /// The images that are here.
    pub fn store(&self) -> &ImageStore {
        &self.store
    }

    /// Whether the image would have to be asked for in a registry now.
    pub fn asks(&self, image: &str, policy: PullPolicy) -> bool {
        let in_registry = image.starts_with("oci://")
            || (!image.contains("://") && Reference::names_registry(image));
        in_registry
            && match policy {
                PullPolicy::Always => true,
                PullPolicy::IfNotPresent => self.store.digest(image).is_none(),
                PullPolicy::Never => false,
            }
    }

    /// Whether the image may come only from its registry: a key of this node concerns it, and its signature is nowhere else.
    #[must_use]
    pub fn only_from_registry(&self, image: &str) -> bool {
        self.registries.wants_signature(image)
    }

    /// Keeps an image in the store while the value lives.
    pub fn hold(&self, image: &str) -> InUse {
        self.store.touch(image);
        let mut used = self.used.lock();
        used.retain(|_, users| users.strong_count() > 0);
        let users = used.get(image).and_then(Weak::upgrade).unwrap_or_default();
        used.insert(image.to_owned(), Arc::downgrade(&users));
        InUse(users)
    }

    /// Brings the image if the policy asks for it; nothing when it was here already.
    ///
    /// # Errors
    /// See [`PullFailure`].
    pub async fn pull(
        self: &Arc<Self>,
        image: &str,
        policy: PullPolicy,
        mut credentials: Credentials,
    ) -> Result<Option<Pulled>, PullFailure> {
        if !self.asks(image, policy) {
            return Ok(None);
        }
        credentials.extend(self.credentials.clone());
        let begun = Instant::now();
        let pulling = self.bring((image, policy), &credentials, Vec::new());
        let pulling = tokio::time::timeout(LONGEST, pulling);
        let size = pulling.await.map_err(|_| PullFailure::Timeout {
            image: image.to_owned(),
            seconds: LONGEST.as_secs(),
        })??;
        Ok(size.map(|size| Pulled {
            took: begun.elapsed(),
            size,
        }))
    }

    /// Brings the image as its registry has it now, if one of these keys (PEM) signed it: what is in the store under the name then is what was
    /// signed, wherever it came from before.
    ///
    /// # Errors
    /// See [`PullFailure`].
    pub async fn pull_signed(
        self: &Arc<Self>,
        image: &str,
        keys: &[String],
    ) -> Result<(), PullFailure> {
        let always = PullPolicy::Always;
        if !self.asks(image, always) {
            let image = image.to_owned();
            return Err(PullFailure::Unsignable { image });
        }
        let keys = keys.iter().enumerate().map(|(place, key)| {
            VerifyingKey::parse(key).map_err(|error| PullFailure::Key {
                place,
                reason: error.to_string(),
            })
        });
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        let pulling = self.bring((image, always), &self.credentials, keys);
        let pulled = tokio::time::timeout(LONGEST, pulling).await;
        pulled
            .map_err(|_| PullFailure::Timeout {
                image: image.to_owned(),
                seconds: LONGEST.as_secs(),
            })?
            .map(drop)
    }

    async fn bring(
        self: &Arc<Self>,
        (image, policy): (&str, PullPolicy),
        credentials: &Credentials,
        signers: Vec<VerifyingKey>,
    ) -> Result<Option<u64>, PullFailure> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_| PullFailure::Stopping)?;
        // Somebody else may have brought it while we waited.
        if !self.asks(image, policy) {
            return Ok(None);
        }
        let reference = Reference::parse(image).map_err(ImageError::from)?;
        let pull = self.registries.pull(&reference, credentials);
        let mut pull = pull.signed_by(signers);
        let artifact = pull.resolve().await?;
        if self.store.pulled(image).as_deref() == Some(&artifact.layer.digest) {
            return Ok(None);
        }
        let quiet: osier_distribution::Progress = Arc::new(|_, _| ());
        let component = pull.fetch(&artifact.layer, &quiet).await?;
        let size = component.len() as u64;
        let (this, image) = (Arc::clone(self), image.to_owned());
        let keeping = self.tasks.spawn_blocking("keep-image", move || {
            this.store
                .keep_pulled(&image, &component, &artifact.layer.digest)?;
            this.shrink(&image);
            Ok::<_, ImageError>(())
        });
        keeping.await.map_err(|_| PullFailure::Stopping)??;
        Ok(Some(size))
    }

    /// Makes room, if the store holds more than it may, but never takes what runs, or what has just come.
    fn shrink(&self, new: &str) {
        let mut keep: HashSet<String> = {
            let used = self.used.lock();
            let held = used.iter().filter(|(_, users)| users.strong_count() > 0);
            held.map(|(image, _)| image.clone()).collect()
        };
        keep.insert(new.to_owned());
        match self.store.shrink(self.limit, &keep) {
            Ok(gone) => {
                for image in gone {
                    tracing::info!(
                        image = image.name,
                        size = image.size,
                        "an image was removed from the store to make room; it is pulled again when it is needed"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "the image store could not be made smaller"),
        }
    }
}
