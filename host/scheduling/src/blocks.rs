//! Which addresses the pods of a node have: blocks that do not overlap, each as large as its node needs. Pure.
//!
//! The first node has 10.244.0.0/16, as clusters of one node always had. Others have a block of 10.128.0.0/9 or, when that is full, of
//! 100.64.0.0/10 (RFC 6598, which no machine has of its own): room for more than 6,000 nodes of 1,100 pods each. Nodes that were
//! given a /16 before blocks had sizes keep it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::Ipv4Addr;

/// The block of a cluster of one node.
const FIRST: Block = Block::new([10, 244, 0, 0], 16);
/// Where further ones are.
const RANGES: [Block; 2] = [
    Block::new([10, 128, 0, 0], 9),
    Block::new([100, 64, 0, 0], 10),
];
/// Bits of the largest and of the smallest block: 65,533 and 2,045 pods. A node keeps its block when it is told to take more pods, so that
/// none is smaller than what the usual number needs.
const LARGEST: u8 = 16;
const SMALLEST: u8 = 21;
/// A block has half as many addresses again as its node has pods: one that was given back is not used at once.
const SPARE: u32 = 2;

/// Addresses that have their first bits in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    first: u32,
    bits: u8,
}

impl Block {
    const fn new([a, b, c, d]: [u8; 4], bits: u8) -> Self {
        let first = u32::from_be_bytes([a, b, c, d]);
        Self { first, bits }
    }

    /// As `spec.podCIDR` has it; nothing if it is no block of IPv4.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (address, bits): (Ipv4Addr, u8) = (address.parse().ok()?, bits.parse().ok()?);
        let first = u32::from(address);
        (1..=32).contains(&bits).then_some(Self { first, bits })
    }

    fn last(self) -> u32 {
        self.first | (u32::MAX.checked_shr(self.bits.into()).unwrap_or(0))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.bits)
    }
}

/// Which block each node has, kept by increments: thousands of nodes that come at once are not read again for each of them.
#[derive(Debug, Default)]
pub struct Blocks {
    by_node: HashMap<String, Block>,
    /// How many nodes have each, by address: what people wrote may name one twice.
    taken: BTreeMap<Block, usize>,
}

impl Blocks {
    /// Takes what a node says of itself in `spec.podCIDR`. One that says nothing keeps what it was given: the news may be under way.
    pub fn note(&mut self, node: &str, said: &str) {
        if said.is_empty() {
            return;
        }
        let said = Block::parse(said);
        if self.by_node.get(node).copied() == said {
            return;
        }
        self.forget(node);
        if let Some(block) = said {
            self.take(node, block);
        }
    }

    /// The node is gone, and its block is free.
    pub fn forget(&mut self, node: &str) {
        let Some(block) = self.by_node.remove(node) else {
            return;
        };
        if let Some(count) = self.taken.get_mut(&block) {
            *count -= 1;
            if *count == 0 {
                self.taken.remove(&block);
            }
        }
    }

    /// The block that a node has or is given: the first that overlaps no other and suffices for so many pods. Nothing if there is none.
    pub fn give(&mut self, node: &str, pods: u32) -> Option<Block> {
        if let Some(block) = self.by_node.get(node) {
            return Some(*block);
        }
        let block = free(self.taken.keys(), pods)?;
        self.take(node, block);
        Some(block)
    }

    fn take(&mut self, node: &str, block: Block) {
        self.by_node.insert(node.to_owned(), block);
        *self.taken.entry(block).or_default() += 1;
    }
}

/// The first block that overlaps none of those, which are in order, and suffices for a node of so many pods.
fn free<'a>(sorted: impl Iterator<Item = &'a Block> + Clone, pods: u32) -> Option<Block> {
    let bits = bits_for(pods);
    let overlaps = |block: Block| {
        let mut taken = sorted.clone();
        taken.any(|other| other.first <= block.last() && block.first <= other.last())
    };
    if !overlaps(FIRST) {
        return Some(FIRST);
    }
    RANGES
        .iter()
        .find_map(|range| within(*range, bits, sorted.clone()))
}

/// The first gap of a range that takes a block of this size.
fn within<'a>(range: Block, bits: u8, sorted: impl Iterator<Item = &'a Block>) -> Option<Block> {
    let size = 1_u64 << (32 - u32::from(bits));
    let end = u64::from(range.last()) + 1;
    let mut at = u64::from(range.first);
    for one in sorted {
        if at + size <= u64::from(one.first) {
            break;
        }
        let after = u64::from(one.last()) + 1;
        if after > at {
            at = after.next_multiple_of(size);
        }
    }
    let first = u32::try_from(at).ok()?;
    (at + size <= end).then_some(Block { first, bits })
}

fn bits_for(pods: u32) -> u8 {
    let wanted = pods.saturating_add(pods / SPARE).saturating_add(3);
    let log = wanted
        .checked_next_power_of_two()
        .map_or(32, u32::trailing_zeros);
    let bits = u8::try_from(32_u32.saturating_sub(log)).unwrap_or(LARGEST);
    bits.clamp(LARGEST, SMALLEST)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn free_beside(taken: &[Block], pods: u32) -> Option<Block> {
        let mut sorted = taken.to_vec();
        sorted.sort();
        free(sorted.iter(), pods)
    }

    fn given(taken: &mut Vec<Block>, pods: u32) -> Option<String> {
        let block = free_beside(taken, pods)?;
        let apart = |other: &Block| other.last() < block.first || block.last() < other.first;
        assert!(taken.iter().all(apart), "{block} overlaps another");
        assert_eq!(Block::parse(&block.to_string()), Some(block));
        taken.push(block);
        Some(block.to_string())
    }

    #[test]
    fn five_thousand_nodes_have_a_block_each() {
        let mut taken = Vec::new();
        assert_eq!(given(&mut taken, 1100).unwrap(), "10.244.0.0/16");
        assert_eq!(given(&mut taken, 1100).unwrap(), "10.128.0.0/21");
        assert_eq!(given(&mut taken, 1100).unwrap(), "10.128.8.0/21");
        assert_eq!(given(&mut taken, 50_000).unwrap(), "10.129.0.0/16");
        assert_eq!(given(&mut taken, 0).unwrap(), "10.128.16.0/21");
        while taken.len() < 5000 {
            given(&mut taken, 1100).unwrap();
        }
        let in_second = |block: &&Block| block.first >= RANGES[1].first;
        assert!(taken.iter().find(in_second).is_some());
    }

    #[test]
    fn nodes_of_a_store_from_before_keep_theirs_and_others_find_room() {
        let before = (128..=255).map(|second| Block::new([10, second, 0, 0], 16));
        let mut taken: Vec<Block> = before.collect();
        assert_eq!(given(&mut taken, 1100).unwrap(), "100.64.0.0/21");
        taken.retain(|block| *block != Block::new([10, 130, 0, 0], 16));
        assert_eq!(given(&mut taken, 1100).unwrap(), "10.130.0.0/21");
        assert_eq!(given(&mut taken, 40_000).unwrap(), "100.65.0.0/16");
        taken.retain(|block| *block != FIRST);
        assert_eq!(given(&mut taken, 1100).unwrap(), "10.244.0.0/16");
    }

    #[test]
    fn a_range_that_is_full_gives_nothing() {
        let mut taken: Vec<Block> = RANGES.to_vec();
        assert_eq!(free_beside(&taken, 1100), None);
        taken.pop();
        assert_eq!(given(&mut taken, 1100).unwrap(), "100.64.0.0/21");
    }

    #[test]
    fn a_block_is_as_large_as_its_node_needs() {
        let sizes = [
            (110, 21),
            (1100, 21),
            (1400, 20),
            (10_000, 18),
            (50_000, 16),
        ];
        for (pods, bits) in sizes {
            assert_eq!(bits_for(pods), bits, "{pods} pods");
        }
        assert_eq!(bits_for(u32::MAX), LARGEST);
        assert_eq!(Block::parse("10.0.0.0/33"), None);
        assert_eq!(Block::parse("fd00::/64"), None);
    }

    #[test]
    fn a_node_keeps_what_it_was_given_until_it_says_otherwise_or_goes() {
        let mut blocks = Blocks::default();
        let first = blocks.give("a", 110).unwrap();
        blocks.note("a", "");
        assert_eq!(blocks.give("a", 65_000), Some(first));
        blocks.note("a", "10.128.0.0/21");
        assert_eq!(blocks.give("b", 110), Some(first), "it is free again");
        assert_eq!(blocks.give("c", 110).unwrap().to_string(), "10.128.8.0/21");
        blocks.note("d", "10.128.0.0/21");
        blocks.forget("a");
        assert_eq!(blocks.give("e", 110).unwrap().to_string(), "10.128.16.0/21");
        blocks.forget("d");
        assert_eq!(blocks.give("f", 110).unwrap().to_string(), "10.128.0.0/21");
        blocks.note("f", "fd00::/64");
        assert_eq!(blocks.give("g", 110).unwrap().to_string(), "10.128.0.0/21");
    }

    proptest! {
        /// Nodes come, say what they have, and go: each is given what a look at all that are there would give it.
        #[test]
        fn what_is_kept_is_what_a_look_at_all_nodes_tells(
            steps in prop::collection::vec((0..6_usize, 0..3_u8, 0..3_usize), 1..60),
        ) {
            let said = ["10.128.0.0/20", "10.244.0.0/16", "100.64.0.0/21"];
            let (mut blocks, mut all) = (Blocks::default(), HashMap::new());
            for (node, step, choice) in steps {
                let name = node.to_string();
                match step {
                    0 => {
                        blocks.forget(&name);
                        all.remove(&node);
                    }
                    1 => {
                        blocks.note(&name, said[choice]);
                        all.insert(node, Block::parse(said[choice]).unwrap());
                    }
                    _ => {
                        let pods = [110, 3000, 40_000][choice];
                        let others: Vec<Block> = all.values().copied().collect();
                        let expected = all.get(&node).copied().or_else(|| free_beside(&others, pods));
                        prop_assert_eq!(blocks.give(&name, pods), expected);
                        all.insert(node, expected.unwrap());
                    }
                }
            }
        }
    }
}
