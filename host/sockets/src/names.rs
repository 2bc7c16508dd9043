//! Names that programs of a pod looked up, found again by the address that stood for them. Pure.
//!
//! A host outside may have no address that the mesh knows: who connects to it is told one that stands for its name, of a block that
//! nobody uses on a network (240.240.0.0/16, as Istio's DNS proxy does it). The connection then goes to the name.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::NAMES;

/// The block of addresses that stand for names, and how many are used of it: more than there are names.
const BLOCK: u32 = 0xF0F0_0000;
const ADDRESSES: u32 = 0xFFF0;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// These addresses of the mesh.
    Addresses(Vec<IpAddr>),
    /// A host that is reached by its name only.
    ByName,
}

/// The names of one pod.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_address: HashMap<Ipv4Addr, Arc<str>>,
    by_name: HashMap<Arc<str>, Ipv4Addr>,
    order: VecDeque<Arc<str>>,
    next: u32,
}

impl Names {
    /// The address that stands for a name.
    pub(crate) fn address(&mut self, name: &str) -> Ipv4Addr {
        if let Some(address) = self.by_name.get(name) {
            return *address;
        }
        if self.order.len() >= NAMES {
            self.forget();
        }
        // Used in turn, so that an address means nothing for long before it means something else.
        self.next = self.next % ADDRESSES + 1;
        let (name, address) = (Arc::<str>::from(name), Ipv4Addr::from(BLOCK + self.next));
        self.by_name.insert(Arc::clone(&name), address);
        self.by_address.insert(address, Arc::clone(&name));
        self.order.push_back(name);
        address
    }

    fn forget(&mut self) {
        let oldest = self.order.pop_front();
        let address = oldest.and_then(|name| self.by_name.remove(&name));
        if let Some(address) = address {
            self.by_address.remove(&address);
        }
    }

    /// The name that an address stands for.
    pub(crate) fn name(&self, address: IpAddr) -> Option<&Arc<str>> {
        match address {
            IpAddr::V4(address) => self.by_address.get(&address),
            IpAddr::V6(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_is_found_by_it() {
        let mut names = Names::default();
        let one = names.address("api.example.com");
        assert_eq!(one, Ipv4Addr::new(240, 240, 0, 1));
        assert_eq!(names.address("api.example.com"), one);
        let other = names.address("other.example.com");
        assert_ne!(other, one);
        assert_eq!(
            names.name(one.into()).map(|name| &**name),
            Some("api.example.com")
        );
        assert_eq!(names.name(IpAddr::V4(Ipv4Addr::LOCALHOST)), None);
    }

    #[test]
    fn the_oldest_name_is_forgotten_first() {
        let mut names = Names::default();
        let first = names.address("0");
        for number in 1..=NAMES {
            names.address(&number.to_string());
        }
        assert_eq!(names.name(first.into()), None);
        assert_eq!(names.order.len(), NAMES);
        assert_eq!(
            (names.by_name.len(), names.by_address.len()),
            (NAMES, NAMES)
        );
    }
}
