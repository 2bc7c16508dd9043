//! `osier image`, as it is typed.

use super::Output;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `osier image`.
#[derive(Args, Debug)]
pub(crate) struct Image {
    /// What to do with images.
    #[command(subcommand)]
    pub(crate) command: ImageCommand,
}

/// Whose images.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The node's data directory [default: ~/.osier].
    #[arg(long, value_name = "DIR", env = "OSIER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// How registries are reached. Logins come from `~/.docker/config.json` (or `$DOCKER_CONFIG/config.json`).
#[derive(Args, Debug)]
pub(crate) struct Access {
    /// A registry, as HOST:PORT, that is spoken to without TLS; may be repeated.
    #[arg(long, value_name = "HOST")]
    pub(crate) insecure_registry: Vec<String>,
}

/// How a node pulls images.
#[derive(Args, Debug, Default, Clone)]
pub(crate) struct Pulling {
    /// A registry, as HOST:PORT, that is spoken to without TLS; may be repeated.
    #[arg(long, value_name = "HOST")]
    pub(crate) insecure_registry: Vec<String>,
    /// Images must be signed (cosign) with the public key in FILE, all or those below HOST/PATH; may be repeated.
    #[arg(long, value_name = "[HOST/PATH=]FILE")]
    pub(crate) image_key: Vec<String>,
    /// A Docker configuration file with logins for images whose pod brings no pull secret, and for plugins.
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_config: Option<PathBuf>,
}

/// The subcommands of `osier image`.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Put a Wasm component into the node's store under a name; an `image:` resolves there first.
    #[command(
        after_help = "Example:\n  osier image import bookinfo/reviews:1.0 target/components/reviews.wasm"
    )]
    Import {
        /// The name that pods and plugins use.
        name: String,
        /// A Wasm component, or a WASI preview 1 module.
        file: PathBuf,
        /// Whose images.
        #[command(flatten)]
        place: Place,
    },
    /// List the names in the store with their digests and sizes.
    List {
        /// `json` for machines.
        #[arg(short, long, value_name = "FORMAT")]
        output: Option<Output>,
        /// Whose images.
        #[command(flatten)]
        place: Place,
    },
    /// Bring an image from its registry into the node's store.
    #[command(
        after_help = "Examples:\n  osier image pull registry.example/shop/web:1\n  osier image pull localhost:5000/web --insecure-registry localhost:5000\n  osier image pull registry.example/shop/web:1 --image-key cosign.pub"
    )]
    Pull {
        /// HOST[:PORT]/PATH[:TAG][@sha256:DIGEST]
        reference: String,
        /// Refuse the image unless it is signed (cosign) with the public key in FILE; may be repeated: it must be signed with each. As with `osier up`, a
        /// HOST/PATH says which images a key is for.
        #[arg(long, value_name = "[HOST/PATH=]FILE")]
        image_key: Vec<String>,
        /// How registries are reached.
        #[command(flatten)]
        access: Access,
        /// Whose images.
        #[command(flatten)]
        place: Place,
    },
    /// Bring an image of the node's store to a registry, as a CNCF Wasm artifact.
    #[command(after_help = "Example:\n  osier image push shop/web:1 registry.example/shop/web:1")]
    Push {
        /// A name in the store.
        name: String,
        /// HOST[:PORT]/PATH[:TAG] [default: the name].
        reference: Option<String>,
        /// How registries are reached.
        #[command(flatten)]
        access: Access,
        /// Whose images.
        #[command(flatten)]
        place: Place,
    },
    /// Show what an image of the store is, or, with --remote, what a registry has.
    Inspect {
        /// A name in the store, or a reference.
        name: String,
        /// Ask the registry.
        #[arg(long)]
        remote: bool,
        /// How registries are reached.
        #[command(flatten)]
        access: Access,
        /// Whose images.
        #[command(flatten)]
        place: Place,
    },
    /// Forget names of the store, so that prune can take what only they meant; refused while a pod or plugin uses one.
    #[command(
        visible_aliases = ["rm", "untag"],
        after_help = "Example:\n  osier image remove bookinfo/reviews:1.0 && osier image prune"
    )]
    Remove {
        /// Names in the store.
        #[arg(required = true)]
        names: Vec<String>,
        /// Also those that are in use: what runs goes on, and cannot be started again.
        #[arg(long)]
        force: bool,
        /// Whose images.
        #[command(flatten)]
        place: Place,
    },
    /// Remove components that no name means any more; with --pulled, everything that came from a registry as well.
    Prune {
        /// Also what was pulled: it is pulled again when it is needed.
        #[arg(long)]
        pulled: bool,
        /// Whose images.
        #[command(flatten)]
        place: Place,
    },
}
