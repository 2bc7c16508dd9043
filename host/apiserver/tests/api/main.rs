//! What the API means, asked for in process: no socket, no clock to wait for.

#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod admission;
mod applies;
mod audits;
mod bodies;
mod conversions;
mod custom;
mod deletes;
mod documents;
mod limits;
mod lists;
mod model;
mod nodes;
mod parts;
mod programs;
mod server;
mod shared;
mod versions;
mod watches;
mod writes;
