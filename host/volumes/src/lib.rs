//! Volumes of pods on the node's disk: their directories, the files in them that follow objects, what claims keep, and the buckets and
//! configuration that lie in them.
//!
//! What a volume holds is told by `podspec`; here it is written. It asks nobody for objects, knows no container and no actor, and never
//! imports a client, the API's objects or the mesh.

mod given;
mod publish;
mod volumes;

pub use given::Giver;
pub use volumes::{DiskError, Volumes};
