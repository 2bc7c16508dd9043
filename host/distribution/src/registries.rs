//! All registries of a process: how they are reached, and which images must be signed.

use bytes::Bytes;
use osier_process::Tasks;
use tokio::sync::OnceCell;

use crate::credentials::Credentials;
use crate::error::{Fault, PullError};
use crate::exchange::{Wire, read};
use crate::fetch::{manifest, same};
use crate::manifest::{Artifact, Layer, Manifest};
use crate::reference::Reference;
use crate::session::Session;
use osier_identity::VerifyingKey;

use crate::signature::{self, RequiredKey};
use crate::{LARGEST, Progress, digest, unpack, upload};

/// What a person decided about registries.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Hosts, with their port, that are spoken to without TLS.
    pub insecure: Vec<String>,
    /// Images that must be signed.
    pub keys: Vec<RequiredKey>,
}

/// Access to registries.
pub struct Registries {
    wire: Wire,
    keys: Vec<RequiredKey>,
}

/// One image that is being pulled.
pub struct Pull<'a> {
    session: Session<'a>,
    keys: &'a [RequiredKey],
    signers: Vec<VerifyingKey>,
}

impl Registries {
    /// Reaches registries with these settings; connections live in `tasks`.
    #[must_use]
    pub fn new(settings: Settings, tasks: Tasks) -> Self {
        Self {
            wire: Wire {
                insecure: settings.insecure.into_iter().collect(),
                tls: OnceCell::new(),
                tasks,
            },
            keys: settings.keys,
        }
    }

    /// Begins to pull; nothing is sent yet.
    #[must_use]
    pub fn pull(&self, reference: &Reference, credentials: &Credentials) -> Pull<'_> {
        Pull {
            session: Session::new(&self.wire, reference.clone(), credentials, "pull"),
            keys: &self.keys,
            signers: Vec::new(),
        }
    }

    /// Whether a key concerns the image, so that its bytes may be used only after its signature was checked in its registry. An image
    /// without a registry has no signature, and a name that looks like one of a registry and is none is better not believed.
    #[must_use]
    pub fn wants_signature(&self, image: &str) -> bool {
        let in_registry = image.starts_with("oci://") || Reference::names_registry(image);
        let concerned = || match Reference::parse(image) {
            Ok(reference) => self.keys.iter().any(|key| key.concerns(&reference)),
            Err(_) => true,
        };
        in_registry && !self.keys.is_empty() && concerned()
    }

    /// Brings a component, its configuration and its manifest (see [`crate::describe`]) to the reference's tag, and gives the digest of
    /// the manifest.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn push(
        &self,
        (reference, credentials): (&Reference, &Credentials),
        component: Bytes,
        described: (String, String),
        progress: Progress,
    ) -> Result<String, PullError> {
        let session = Session::new(&self.wire, reference.clone(), credentials, "pull,push");
        let pushed = upload::push(session, component, described, progress).await;
        pushed.map_err(|fault| about(reference, fault))
    }
}

impl Pull<'_> {
    /// One of these keys must have signed the image, whatever the settings ask for.
    #[must_use]
    pub fn signed_by(self, signers: Vec<VerifyingKey>) -> Self {
        Self { signers, ..self }
    }

    /// Asks what is under the reference, and whether it is signed as it must be.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn resolve(&mut self) -> Result<Artifact, PullError> {
        let resolved = self.artifact().await;
        resolved.map_err(|fault| about(&self.session.reference, fault))
    }

    /// Brings the component of a layer.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn fetch(&mut self, layer: &Layer, progress: &Progress) -> Result<Bytes, PullError> {
        let fetched = self.layer(layer, progress).await;
        fetched.map_err(|fault| about(&self.session.reference, fault))
    }

    async fn artifact(&mut self) -> Result<Artifact, Fault> {
        let version = self.session.reference.version().to_owned();
        let text = manifest(&mut self.session, &version).await?;
        let found = digest(&text);
        if let Some(wanted) = &self.session.reference.digest {
            same("the manifest", wanted, &found)?;
        }
        let layer = match Manifest::read(&text)? {
            Manifest::Image(layer) => layer,
            Manifest::Index(child) => {
                let text = manifest(&mut self.session, &child).await?;
                same("the manifest", &child, &digest(&text))?;
                match Manifest::read(&text)? {
                    Manifest::Image(layer) => layer,
                    Manifest::Index(_) => {
                        return Err(Fault::NotWasm("an index leads to another index".into()));
                    }
                }
            }
        };
        signature::check(&mut self.session, self.keys, &found).await?;
        signature::by_any(&mut self.session, &self.signers, &found).await?;
        Ok(Artifact {
            digest: found,
            layer,
        })
    }

    async fn layer(&mut self, layer: &Layer, progress: &Progress) -> Result<Bytes, Fault> {
        let what = ("the component", LARGEST);
        if layer.size > LARGEST {
            let (what, limit) = what;
            return Err(Fault::TooLarge { what, limit });
        }
        let ask = self
            .session
            .get("the component", &format!("blobs/{}", layer.digest))?;
        let answer = self.session.send(&ask).await?;
        let (seen, total) = (progress.clone(), layer.size);
        let bytes = read(answer.into_body(), what, &move |bytes| seen(bytes, total)).await?;
        same("the component", &layer.digest, &digest(&bytes))?;
        unpack::in_layer(layer.kind, &bytes)
    }
}

fn about(reference: &Reference, fault: Fault) -> PullError {
    PullError {
        image: reference.to_string(),
        fault,
    }
}
