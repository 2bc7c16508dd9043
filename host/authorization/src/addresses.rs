//! Blocks of addresses.

use std::net::IpAddr;

use ipnet::IpNet;

/// Reads an address or a block of them.
pub(crate) fn block(text: &str) -> Option<IpNet> {
    let address = || Some(IpNet::from(text.parse::<IpAddr>().ok()?));
    text.parse().ok().or_else(address)
}

/// Whether a block has an address, in whichever form of the two versions it came.
pub(crate) fn holds(block: &IpNet, address: IpAddr) -> bool {
    block.contains(&address) || block.contains(&address.to_canonical())
}
