//! What a pod's spec means for the node that runs it: the environment, arguments and files of a container, its limits, how it is asked
//! for its health, and what is done when it starts and stops.
//!
//! Functions over values: what a spec refers to is handed in, what follows from it is for the node agent to do. It holds no
//! container, and never imports the engine, a client, files or a clock.

mod action;
mod environment;
pub mod needs;
mod probe;
mod slot;
mod spec;
pub mod volumes;
mod wish;

pub use action::{Action, Call, Port};
pub use environment::{ConfigError, Place, SourceKind, Sources, arguments, references, variables};
pub use probe::{Judge, Kind, Probe};
pub use slot::{RestartPolicy, Slot};
pub use spec::{
    DEFAULT_MEMORY, Hook, Limits, container, containers, field_path, grace, hook, is_sidecar,
    ports, restart_policy,
};
pub use volumes::{GrantError, Grants};
pub use wish::{Tokens, Wish};
