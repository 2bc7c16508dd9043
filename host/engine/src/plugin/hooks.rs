//! The records of `osier:filter` and `osier:extension`, and typed calls with them. They are built for each call out of what the host has at
//! hand, and bodies pass as one block of bytes; untyped values would cost forty bytes for each byte.

pub mod extension;
pub mod filter;
mod handles;

pub use handles::{Handles, Hook, Pair, is_hook};

use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Lower};

/// The parameters of a hook's function, in order.
pub trait Params: ComponentNamedList + Lower + Send + Sync {}
impl<P: ComponentNamedList + Lower + Send + Sync> Params for P {}

/// The result of a hook's function, as a tuple of one.
pub trait Answer: ComponentNamedList + Lift + Send + Sync + 'static {}
impl<R: ComponentNamedList + Lift + Send + Sync + 'static> Answer for R {}

/// `osier:policy/types.header`, handed to a plugin.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub struct Header<'a> {
    /// Lower-case name.
    pub name: &'a str,
    /// Value.
    pub value: &'a str,
}

/// `osier:policy/types.header`, got from a plugin.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct NewHeader {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// `osier:policy/types.header-operation`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum HeaderOperation {
    /// Replaces every value of that name.
    #[component(name = "set")]
    Set(NewHeader),
    /// Adds a value.
    #[component(name = "append")]
    Append(NewHeader),
    /// Removes every value of that name.
    #[component(name = "remove")]
    Remove(String),
}
