//! Compiled workloads by image: compiled once, shared by all pods of the image.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;

use osier_engine::{ComponentError, Digest, Engine, Workload};
use osier_podspec::needs::Needs;
use osier_process::Tasks;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::remote::{Remote, RemoteError};
use osier_images::{Bundled, ImageError, ImageStore, Puller};

/// The image of the tools that run beside containers.
const TOOLBOX: &str = "builtin://toolbox";
/// Compiled workloads kept ready; pods that run keep theirs anyway.
const KEPT: usize = 64;
/// Images whose needs are remembered.
const NOTED: usize = 512;

/// Why a component cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("image {image:?}: {source}")]
    Component {
        image: String,
        source: ComponentError,
    },
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(
        "image {image:?} must be signed (--image-key), which only its registry can show: it is not taken from the control plane's store; \
         set imagePullPolicy to IfNotPresent, or run `osier image pull {image}` on this node"
    )]
    Unsigned { image: String },
    #[error("the node is stopping")]
    Stopping,
}

impl LoadError {
    /// The image is not on this node, wherever else it may be.
    pub(crate) fn is_absence(&self) -> bool {
        match self {
            Self::Image(ImageError::File { source, .. }) => source.kind() == ErrorKind::NotFound,
            Self::Image(error) => matches!(
                error,
                ImageError::NotFound { .. }
                    | ImageError::Registry { .. }
                    | ImageError::NotBundled { .. }
            ),
            Self::Remote(_) | Self::Unsigned { .. } => true,
            Self::Component { .. } | Self::Stopping => false,
        }
    }
}

/// Loads components.
pub(crate) struct Components {
    pub(crate) images: ImageStore,
    pub(crate) puller: Arc<Puller>,
    pub(crate) bundled: Arc<dyn Bundled>,
    engine: Engine,
    /// Where images come from that are not here; nowhere on the node that has them all.
    remote: Option<Remote>,
    tasks: Tasks,
    kept: Mutex<VecDeque<(String, Workload)>>,
    /// What the images that were loaded import beyond what every pod may have.
    needs: Mutex<Needs>,
    /// What probes run again and again does not wait for the compilation of something else.
    toolbox: OnceCell<Workload>,
    /// One compilation at a time: each uses all cores, and two of the same would be one too many.
    loading: tokio::sync::Mutex<()>,
}

impl Components {
    pub(crate) fn new(
        (puller, bundled): (Arc<Puller>, Arc<dyn Bundled>),
        engine: Engine,
        remote: Option<Remote>,
        tasks: Tasks,
    ) -> Arc<Self> {
        Arc::new(Self {
            images: puller.store().clone(),
            puller,
            bundled,
            engine,
            remote,
            tasks,
            kept: Mutex::new(VecDeque::new()),
            needs: Mutex::default(),
            toolbox: OnceCell::new(),
            loading: tokio::sync::Mutex::new(()),
        })
    }

    /// The workload of an image.
    pub(crate) async fn workload(self: &Arc<Self>, image: &str) -> Result<Workload, LoadError> {
        if let Some(known) = self
            .images
            .digest(image)
            .and_then(|digest| self.find(&digest))
        {
            return Ok(known);
        }
        let _turn = self.loading.lock().await;
        self.fetch(image).await?;
        let (this, image) = (Arc::clone(self), image.to_owned());
        let loaded = self
            .tasks
            .spawn_blocking("load-component", move || this.load(&image));
        loaded.await.map_err(|_| LoadError::Stopping)?
    }

    /// The tools that run beside containers.
    pub(crate) async fn toolbox(self: &Arc<Self>) -> Result<Workload, LoadError> {
        let loaded = self.toolbox.get_or_try_init(|| self.workload(TOOLBOX));
        loaded.await.cloned()
    }

    /// Brings an image here that is not, if it can be had elsewhere.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) async fn fetch(&self, image: &str) -> Result<(), LoadError> {
        let Some(remote) = self.remote.as_ref().filter(|_| self.images.lacks(image)) else {
            return Ok(());
        };
        if self.puller.only_from_registry(image) {
            let image = image.to_owned();
            return Err(LoadError::Unsigned { image });
        }
        let bytes = remote.image(image).await?;
        let (images, name) = (self.images.clone(), image.to_owned());
        let kept = self
            .tasks
            .spawn_blocking("keep-image", move || images.import(&name, &bytes));
        let kept = kept.await.map_err(|_| LoadError::Stopping)?;
        Ok(kept.map(drop)?)
    }

    /// The bytes of an image, for plugins.
    pub(crate) fn bytes(&self, image: &str) -> Result<Vec<u8>, ImageError> {
        self.images.resolve(image, self.bundled.as_ref())
    }

    fn load(&self, image: &str) -> Result<Workload, LoadError> {
        let bytes = self.bytes(image)?;
        self.note(image, &bytes);
        if let Some(known) = self.find(Digest::of(&bytes).as_str()) {
            return Ok(known);
        }
        let workload = self
            .engine
            .workload(&bytes)
            .map_err(|source| LoadError::Component {
                image: image.to_owned(),
                source,
            })?;
        let mut kept = self.kept.lock();
        kept.push_back((workload.digest().as_str().to_owned(), workload.clone()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(workload)
    }

    /// What bytes that are no component import is told when they are compiled.
    fn note(&self, image: &str, bytes: &[u8]) {
        let imports = osier_engine::needed(bytes).map(osier_engine::beyond);
        let Some((name, imports)) = osier_images::canonical(image).zip(imports.ok()) else {
            return;
        };
        let mut needs = self.needs.lock();
        // Also where there is nothing to tell: an image that had this name before may have needed something.
        needs.insert(name, imports);
        while needs.len() > NOTED {
            needs.pop_first();
        }
    }

    /// What the images that were loaded import beyond what every pod may have, by name.
    pub(crate) fn needs(&self) -> Needs {
        self.needs.lock().clone()
    }

    fn find(&self, digest: &str) -> Option<Workload> {
        let kept = self.kept.lock();
        kept.iter()
            .find(|(known, _)| known == digest)
            .map(|(_, workload)| workload.clone())
    }
}
