//! The door to the images of the control plane's node, from which joined nodes fetch what they lack.

use bytes::Bytes;
use osier_api::Status;
use osier_process::Boxed;

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The component.
    pub bytes: Bytes,
    /// `sha256:` and 64 digits.
    pub digest: String,
}

/// Reads images.
pub trait Images: Send + Sync {
    /// The bytes of an image by the name that pods use, or the answer that the caller shall see.
    fn read<'a>(&'a self, name: &'a str) -> Boxed<'a, Result<Image, Status>>;
}
