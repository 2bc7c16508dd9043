//! What plugin authors are given: the files of a new project in each language, and what makes a component of what a compiler made.
//!
//! Rust, TypeScript and Python have tools that make components. For C and Go this crate does it: C headers of a world ([`bindings`]), and the step from
//! a core module to a component ([`component_of`]) in which WASI preview1 is answered inside, so that a plugin imports nothing that it is not granted. For
//! JavaScript it has a component whose text can be exchanged ([`Shell`]), for who builds at every save. It runs
//! no compiler, reads no environment, and knows no host: `osier plugin` does the rest.

mod bindings;
mod component;
mod error;
mod files;
mod scaffold;
mod section;
mod shell;
mod world;

pub use bindings::{Generated, bindings};
pub use component::{component_of, module_to_component};
pub use error::Error;
pub use scaffold::{Language, project, templates};
pub use section::attach;
pub use shell::{Room, Shell};
