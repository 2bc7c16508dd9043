//! Consistent hashing: the same caller goes to the same endpoint, and few callers move when an endpoint comes or goes.
//!
//! A table is built once, when a snapshot is compiled; a lookup is a binary search (ring) or one index (Maglev). An endpoint that
//! cannot be used now is passed over, so that only its own callers move.

use std::collections::HashSet;
use std::time::Duration;

use http::HeaderName;

/// What of a request is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The value of a header.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie {
        /// Its name.
        name: Box<str>,
        /// The path that it is set for, if it is.
        path: Option<Box<str>>,
        /// How long a cookie lives that is given to callers without one; zero ends with the browser's session, `None` gives none.
        life: Option<Duration>,
        /// Further attributes, as they are sent: `; SameSite=Lax`.
        attributes: Box<str>,
    },
    /// The caller's address.
    SourceIp,
    /// The value of a query parameter.
    Query(Box<str>),
}

/// Which table finds an endpoint for a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashMethod {
    /// Points on a ring, at least this many.
    Ring(u32),
    /// Maglev with this table size, a prime number.
    Maglev(u32),
}

/// Hashing of requests over endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistentHash {
    /// What is hashed.
    pub key: HashKey,
    /// How an endpoint is found.
    pub method: HashMethod,
}

impl ConsistentHash {
    /// By the caller's address, on a ring of Istio's size.
    pub const SOURCE_IP: Self = Self {
        key: HashKey::SourceIp,
        method: HashMethod::Ring(RING),
    };
}

/// Points that a ring has at least, if nothing is said.
pub const RING: u32 = 1024;

/// A hash of bytes that is the same in every process and every version, so that nodes agree: FNV-1a, then the final mix of
/// MurmurHash3, which spreads what differs in the last bytes only.
pub fn hash_of(bytes: &[u8]) -> u64 {
    finish(extend(START, bytes))
}

const START: u64 = 0xcbf2_9ce4_8422_2325;

fn extend(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(hash, step)
}

fn finish(mut hash: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

/// The hash of a name with something that tells apart what is derived from it.
fn derived(name: &str, what: &[u8]) -> u64 {
    finish(extend(extend(START, name.as_bytes()), what))
}

/// Endpoints by hash.
#[derive(Debug)]
pub enum HashTable {
    /// Points in order of their hash, each with its endpoint.
    Ring(Vec<(u64, u32)>),
    /// The endpoint of each slot.
    Maglev(Vec<u32>),
}

/// The name of an endpoint, which differs from all others, and its weight.
pub type Seat = (String, u32);

impl HashTable {
    /// The table for these endpoints.
    pub fn build(method: HashMethod, seats: &[Seat]) -> Self {
        match method {
            HashMethod::Ring(least) => Self::Ring(ring(least, seats)),
            HashMethod::Maglev(size) => Self::Maglev(maglev(size, seats)),
        }
    }

    /// The position of the endpoint for a hash: the first that is usable, in an order that depends on the hash alone. `None` if
    /// none is.
    pub fn find(&self, hash: u64, usable: impl Fn(usize) -> bool) -> Option<usize> {
        match self {
            Self::Ring(points) => {
                let start = points.partition_point(|(point, _)| *point < hash);
                let (behind, ahead) = points.split_at_checked(start)?;
                first(ahead.iter().chain(behind).map(|(_, index)| *index), usable)
            }
            Self::Maglev(slots) => {
                let start = hash.checked_rem(slots.len() as u64)? as usize;
                let (behind, ahead) = slots.split_at_checked(start)?;
                first(ahead.iter().chain(behind).copied(), usable)
            }
        }
    }
}

/// The first usable endpoint of an order. Each endpoint is asked for once.
fn first(mut order: impl Iterator<Item = u32>, usable: impl Fn(usize) -> bool) -> Option<usize> {
    let first = order.next()? as usize;
    if usable(first) {
        return Some(first);
    }
    let mut refused = HashSet::from([first]);
    order
        .map(|index| index as usize)
        .find(|index| refused.insert(*index) && usable(*index))
}

/// The most points of a ring, if one for each endpoint is not more, and the most slots of a table: what one cluster may cost.
pub const MOST_POINTS: u32 = 1 << 20;

/// Points for each endpoint by its weight: as many for the smallest weight as the whole ring must have at least. Fewer would have to
/// depend on how many endpoints there are, and then callers of all of them would move with each that comes or goes.
fn ring(least: u32, seats: &[Seat]) -> Vec<(u64, u32)> {
    let smallest = seats
        .iter()
        .map(|(_, weight)| *weight)
        .filter(|weight| *weight > 0)
        .min();
    let smallest = u64::from(smallest.unwrap_or(1));
    let count = |weight: &u32| {
        (u64::from(*weight) * u64::from(least))
            .div_ceil(smallest)
            .max(1)
    };
    let total: u64 = seats.iter().map(|(_, weight)| count(weight)).sum();
    // What does not fit is scaled down for all alike.
    let shrink = total.div_ceil(u64::from(MOST_POINTS)).max(1);
    let mut points = Vec::new();
    for (index, (name, weight)) in (0u32..).zip(seats) {
        let count = (count(weight) / shrink).max(1);
        points.extend((0..count).map(|number| (derived(name, &number.to_be_bytes()), index)));
    }
    points.sort_unstable();
    points
}

/// One endpoint while a Maglev table is filled.
struct Turn {
    next: u32,
    skip: u32,
    weight: u64,
    /// Grows by the weight in each round; a turn is taken for each time that it reaches the largest weight.
    credit: u64,
}

/// Maglev's table (Eisenbud et al., NSDI 2016, section 3.4): endpoints take turns, each taking the next free slot of its own
/// permutation. `size` is a prime number.
fn maglev(size: u32, seats: &[Seat]) -> Vec<u32> {
    let part = |name: &str, what: &[u8], of: u32| {
        let part = derived(name, what) % u64::from(of.max(1));
        u32::try_from(part).unwrap_or(0)
    };
    let turn = |(name, weight): &Seat| Turn {
        next: part(name, b"offset", size),
        skip: part(name, b"skip", size.saturating_sub(1)) + 1,
        weight: u64::from(*weight).max(1),
        credit: 0,
    };
    let mut turns: Vec<Turn> = seats.iter().map(turn).collect();
    let Some(largest) = turns.iter().map(|turn| turn.weight).max() else {
        return Vec::new();
    };
    let mut slots = vec![None; size as usize];
    let mut free = size;
    while free > 0 {
        for (index, turn) in (0u32..).zip(&mut turns) {
            turn.credit += turn.weight;
            if turn.credit >= largest && free > 0 {
                turn.credit -= largest;
                take(&mut slots, turn, index);
                free -= 1;
            }
        }
    }
    slots.into_iter().flatten().collect()
}

fn take(slots: &mut [Option<u32>], turn: &mut Turn, index: u32) {
    let size = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    while let Some(slot) = slots.get_mut(turn.next as usize) {
        turn.next = (turn.next + turn.skip) % size;
        if slot.is_none() {
            *slot = Some(index);
            return;
        }
    }
}

/// Whether a number is prime: what Maglev's table size must be, or permutations would miss slots.
pub fn is_prime(number: u32) -> bool {
    let number = u64::from(number);
    number >= 2
        && (2..)
            .take_while(|divisor| divisor * divisor <= number)
            .all(|divisor| number % divisor != 0)
}

#[cfg(test)]
mod tests;
