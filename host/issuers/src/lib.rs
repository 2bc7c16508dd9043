//! Fetches the keys of those who sign tokens, for the RequestAuthentications that name them by `jwksUri` or by their issuer alone, and
//! writes them into the objects' status, where every node reads them.
//!
//! It is a part of the control plane: no request waits for it, and while it stands still nodes go on with the keys that they have.
//! Whether a token is believed is `osier-authentication`'s business. It never imports the proxy or the API server: a way to issuers
//! that are services of the mesh is given to it.

mod controller;
mod fetch;
mod standing;

pub use controller::start;
pub use fetch::Inside;
