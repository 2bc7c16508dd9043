//! A DNS server that answers from the snapshot: names of services, of their pods and of hosts that ServiceEntries give addresses, as
//! the workload that asks may call them. Every other name goes to the resolvers of the machine, within bounds.
//!
//! What a name stands for is a pure function ([`answer`]); messages are read and written apart from it, and around both stands a thin
//! loop for UDP and the one accept loop for TCP. It is no zone server: nobody transfers, updates or signs zones here. It never
//! imports the API, the proxy, the engine or the controllers, and knows who asks only from the [`View`] that it is given.

mod answer;
mod bounds;
mod chain;
mod forward;
mod message;
mod metrics;
mod resolv;
mod reverse;
mod server;

pub use answer::{Data, Found, Wanted, answer};
pub use resolv::nameservers;
pub use server::{Dns, Look, View};
