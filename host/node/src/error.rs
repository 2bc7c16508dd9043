//! Why a node cannot start.

use std::path::PathBuf;

use osier_images::ImageError;

/// A node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The image store cannot be used.
    #[error(transparent)]
    Images(#[from] ImageError),
    /// A folder cannot be made.
    #[error("the node's folder {path}: {source}; give a data directory that this user may write")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
