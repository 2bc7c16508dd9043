//! A store in an etcd, which several processes share. Each keeps the whole state in its cache as [`feed`] hears it from etcd,
//! and writes by transactions that demand what the write expects ([`write`]).

mod feed;
mod open;
mod write;

pub(super) use open::open;
pub use write::Guard;
pub(super) use write::Remote;
