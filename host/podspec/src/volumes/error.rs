//! Why volumes cannot be mounted, in words for who wrote the pod.

use crate::environment::ConfigError;

/// A container cannot be given its volumes; shown as CreateContainerConfigError.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// An object that a volume comes from is not there.
    #[error("volume {volume:?}: {kind} {name:?} not found")]
    NoObject {
        /// The volume.
        volume: String,
        /// `ConfigMap`, `Secret` or `PersistentVolumeClaim`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// It is there without a key.
    #[error("volume {volume:?}: references non-existent key {key:?} of {kind} {name:?}")]
    NoKey {
        /// The volume.
        volume: String,
        /// The key.
        key: String,
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A file would be outside the volume.
    #[error(
        "volume {volume:?}: {path:?} is not a path in a volume: write one that is relative, without `..`"
    )]
    Path {
        /// The volume.
        volume: String,
        /// The path.
        path: String,
    },
    /// A kind of volume that is not known here.
    #[error(
        "volume {volume:?}: {kind} cannot be mounted in this version; use emptyDir, hostPath, persistentVolumeClaim, configMap, secret, downwardAPI or projected"
    )]
    Kind {
        /// The volume.
        volume: String,
        /// Its kind.
        kind: String,
    },
    /// A part of a volume that is not there.
    #[error(
        "volume {volume:?}: subPath {part:?} is neither a file nor a directory in it (it has {known})"
    )]
    NoPart {
        /// The volume.
        volume: String,
        /// The part.
        part: String,
        /// The files that are there.
        known: String,
    },
    /// A file without a name.
    #[error(
        "volume {volume:?}: a file cannot be mounted at {path:?}: name the file, /etc/app/config.yaml"
    )]
    Unnamed {
        /// The volume.
        volume: String,
        /// Where it is to be.
        path: String,
    },
    /// A file in a directory that another volume is.
    #[error(
        "volume {volume:?}: a single file cannot be shown in {path:?}, which is another volume of the container that is written: \
         a component is given whole directories; mount the file in a directory of its own"
    )]
    Beside {
        /// The volume.
        volume: String,
        /// The directory.
        path: String,
    },
    /// A claim's volume that is not for this node.
    #[error(
        "volume {volume:?}: the claim {claim:?} has a volume on the node {node:?}, and the pod runs elsewhere; leave `nodeName` to the scheduler"
    )]
    Elsewhere {
        /// The volume.
        volume: String,
        /// The claim.
        claim: String,
        /// Whose disk has it.
        node: String,
    },
    /// A variable in a path that the container has not.
    #[error(
        "volume {volume:?}: subPathExpr: missing value for {variable:?}; give the container such an `env`"
    )]
    Variable {
        /// The volume.
        volume: String,
        /// Its name.
        variable: String,
    },
    /// A directory of the node that is none.
    #[error(
        "volume {volume:?}: a hostPath of type {kind} cannot be mounted: a component is given directories"
    )]
    HostType {
        /// The volume.
        volume: String,
        /// Its type.
        kind: String,
    },
    /// A field of the pod cannot be told.
    #[error("volume {volume:?}: {error}")]
    Value {
        /// The volume.
        volume: String,
        /// Why not.
        error: ConfigError,
    },
    /// A key of a Secret cannot be read.
    #[error("volume {volume:?}: the key {key:?} of a Secret is not base64: {detail}")]
    Base64 {
        /// The volume.
        volume: String,
        /// The key.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
}
