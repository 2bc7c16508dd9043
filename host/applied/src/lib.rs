//! What is judged of objects when they are applied, beyond their schemas and the policies of people: what pods are granted of that
//! which their components import, and whether Istio's objects of security can be read whole.
//!
//! Steps of admission, which the binary hands to the API server. It compiles nothing and asks no registry: a write waits for neither.

mod faults;
mod grants;
mod security;
mod told;

pub use faults::shown;
pub use grants::GrantAdmission;
pub use security::SecurityAdmission;
