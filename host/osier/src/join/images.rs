//! The images of this node, for joined nodes that lack them.

use crate::bundled::Plugins;
use osier_api::Status;
use osier_apiserver::{Image, Images};
use osier_engine::Digest;
use osier_images::ImageStore;
use osier_process::{Boxed, Tasks};

/// The largest image that is sent.
const LARGEST: usize = 256 << 20;

/// The API's door to the image store.
pub(crate) struct NodeImages {
    images: ImageStore,
    tasks: Tasks,
}

impl NodeImages {
    /// The images of a store.
    pub(crate) fn new(images: ImageStore, tasks: Tasks) -> Self {
        Self { images, tasks }
    }
}

impl Images for NodeImages {
    fn read<'a>(&'a self, name: &'a str) -> Boxed<'a, Result<Image, Status>> {
        Box::pin(async move {
            let missing = |words: String| Status::new(404, "NotFound", words);
            // Files of this machine are nobody else's; what is bundled every node has.
            if name.is_empty() || name.contains("://") {
                let words = format!("{name:?} is not the name of an imported image");
                return Err(missing(words));
            }
            let (images, wanted) = (self.images.clone(), name.to_owned());
            let reading = self.tasks.spawn_blocking("read-image", move || {
                let bytes = images.resolve(&wanted, &Plugins)?;
                let digest = Digest::of(&bytes).as_str().to_owned();
                Ok::<_, osier_images::ImageError>((bytes, digest))
            });
            let read = reading.await.map_err(Status::internal)?;
            let (bytes, digest) = read.map_err(|error| missing(error.to_string()))?;
            if bytes.len() > LARGEST {
                return Err(Status::too_large(LARGEST as u64));
            }
            Ok(Image {
                bytes: bytes.into(),
                digest,
            })
        })
    }
}
