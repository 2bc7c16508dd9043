//! Istio's RequestAuthentication (<https://istio.io/latest/docs/reference/config/security/request_authentication/>): objects are read
//! into rules once, and the tokens of a call are verified by the rules that concern its place. Pure values and functions.
//!
//! It fetches no keys and knows no clock: both come from outside, keys as they stand in the object. Whether somebody may call is
//! not its business: a call without a token passes. It holds no lock and opens no socket.

mod place;
mod read;
mod rule;
mod seen;
mod set;
mod told;
mod verified;

pub use read::{Wanted, read, wanted};
pub use rule::{Policy, Rule};
pub use seen::Seen;
pub use set::{Authenticated, Authentications, Refused};
pub use verified::Verified;
