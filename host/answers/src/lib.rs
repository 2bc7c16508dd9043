//! In which form the API answers: what is stored of an object, the same object in another version, for programs, for people and as
//! metadata alone, lists and events of those, compressed where that pays. What is answered to whom is decided above: nothing here
//! knows a request, a store or a right.

pub mod compress;
mod listing;
mod render;
pub mod representation;
pub mod respond;
pub mod stored;
mod versions;

pub use listing::Listing;
pub use render::{ListMeta, ListWriter, Renderer, include};
pub use representation::Representation;
pub use stored::Stored;
pub use versions::{deprecation, in_version};
