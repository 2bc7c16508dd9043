//! Pod addresses: each pod has its own, of the node's block (`spec.podCIDR`), for as long as it lives. Pure.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

/// The block of a cluster of one node, until the node is told another.
const NETWORK: u32 = 0x0A_F4_00_00;
/// The first address of the block is the node's own, the last is left out as a broadcast address.
const FIRST: u32 = 2;
const LAST: u32 = 0xFFFE;
/// Blocks of more or fewer bits are none for a node.
const BITS: std::ops::RangeInclusive<u32> = 8..=29;

/// Which pod has which address.
#[derive(Debug)]
pub(crate) struct Addresses {
    network: u32,
    /// The last address of the block that is used, counted from its beginning.
    most: u32,
    of: HashMap<String, u32>,
    taken: BTreeSet<u32>,
    last: u32,
}

impl Default for Addresses {
    fn default() -> Self {
        Self {
            network: NETWORK,
            most: LAST,
            of: HashMap::new(),
            taken: BTreeSet::new(),
            last: 0,
        }
    }
}

impl Addresses {
    /// The node's block; before any pod has an address.
    pub(crate) fn of_block(&mut self, block: &str) {
        let Some((network, bits)) = block.split_once('/') else {
            return;
        };
        if let (Ok(network), Ok(bits)) = (network.parse::<Ipv4Addr>(), bits.parse::<u32>())
            && BITS.contains(&bits)
        {
            let inside = u32::MAX >> bits;
            self.network = u32::from(network) & !inside;
            self.most = inside - 1;
        }
    }

    /// The pod's address: the one it has, the one it had before if that is free, or a new one.
    /// None when all are taken.
    pub(crate) fn assign(&mut self, uid: &str, before: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        if let Some(host) = self.of.get(uid) {
            return Some(self.address(*host));
        }
        let before = before
            .map(u32::from)
            .and_then(|ip| ip.checked_sub(self.network));
        let before =
            before.filter(|host| (FIRST..=self.most).contains(host) && !self.taken.contains(host));
        let host = before.or_else(|| self.free())?;
        self.taken.insert(host);
        self.of.insert(uid.to_owned(), host);
        Some(self.address(host))
    }

    /// The pod is gone. Its address is used again only after all others had their turn.
    pub(crate) fn release(&mut self, uid: &str) {
        if let Some(host) = self.of.remove(uid) {
            self.taken.remove(&host);
        }
    }

    fn address(&self, host: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.network + host)
    }

    fn free(&mut self) -> Option<u32> {
        let start = self.last.max(FIRST - 1);
        let host = ((start + 1)..=self.most)
            .chain(FIRST..=start)
            .find(|host| !self.taken.contains(host))?;
        self.last = host;
        Some(host)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_stable_unique_and_not_reused_at_once() {
        let mut addresses = Addresses::default();
        let one = addresses.assign("a", None).unwrap();
        assert_eq!(one, Ipv4Addr::new(10, 244, 0, 2));
        assert_eq!(addresses.assign("a", None).unwrap(), one);
        addresses.release("a");
        assert_ne!(addresses.assign("b", None).unwrap(), one);
        assert_eq!(
            addresses.assign("c", Some(one)).unwrap(),
            one,
            "a pod gets its former address back"
        );
        assert_ne!(addresses.assign("d", Some(one)).unwrap(), one);
        assert_ne!(
            addresses.assign("e", Some(Ipv4Addr::LOCALHOST)).unwrap(),
            Ipv4Addr::LOCALHOST
        );
    }

    #[test]
    fn another_block_gives_other_addresses() {
        let mut addresses = Addresses::default();
        addresses.of_block("10.130.0.0/16");
        let one = addresses
            .assign("a", Some(Ipv4Addr::new(10, 244, 0, 9)))
            .unwrap();
        assert_eq!(one, Ipv4Addr::new(10, 130, 0, 2));
        let again = addresses
            .assign("b", Some(Ipv4Addr::new(10, 130, 3, 4)))
            .unwrap();
        assert_eq!(again, Ipv4Addr::new(10, 130, 3, 4));
        let mut small = Addresses::default();
        small.of_block("100.64.8.0/21");
        let all: Vec<_> = (0..2045)
            .map(|pod| small.assign(&pod.to_string(), None))
            .collect();
        assert_eq!(all[0], Some(Ipv4Addr::new(100, 64, 8, 2)));
        assert_eq!(all[2044], Some(Ipv4Addr::new(100, 64, 15, 254)));
        assert_eq!(small.assign("x", None), None);
    }

    #[test]
    fn the_block_runs_out_and_recovers() {
        let mut addresses = Addresses::default();
        for pod in FIRST..=LAST {
            assert!(addresses.assign(&pod.to_string(), None).is_some());
        }
        assert_eq!(addresses.assign("x", None), None);
        addresses.release("77");
        assert!(addresses.assign("x", None).is_some());
    }
}
