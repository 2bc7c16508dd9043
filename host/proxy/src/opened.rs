//! What became of the listeners that gateways ask for.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// By port: the address that is listened on, or why there is none.
pub type Opened = BTreeMap<u16, Result<SocketAddr, String>>;
