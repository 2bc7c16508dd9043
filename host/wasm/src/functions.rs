//! Machine code of single functions in memory, so that a component that is compiled again and again is compiled only where it changed.
//!
//! There are two generations. What is used moves into the newer one; when that is full it becomes the older one, and what nobody has used
//! since the last time goes. So the bound holds without an order of uses.

use std::collections::HashMap;
use std::{fmt, mem};

/// Functions by a key of whoever compiles, bounded in bytes.
pub struct Functions {
    /// Bytes of one generation.
    limit: usize,
    newer: Generation,
    older: Generation,
}

#[derive(Default)]
struct Generation {
    functions: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

impl Functions {
    /// Room for so many bytes, keys included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit / 2,
            newer: Generation::default(),
            older: Generation::default(),
        }
    }

    /// The code kept under a key.
    pub fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(code) = self.newer.functions.get(key) {
            return Some(code.clone());
        }
        let (key, code) = self.older.functions.remove_entry(key)?;
        self.older.bytes = self.older.bytes.saturating_sub(key.len() + code.len());
        self.insert(key, code.clone());
        Some(code)
    }

    /// Keeps code under a key. What is larger than a generation is not kept.
    pub fn insert(&mut self, key: Vec<u8>, code: Vec<u8>) -> bool {
        let key_length = key.len();
        let size = key_length + code.len();
        if size > self.limit {
            return false;
        }
        if self.newer.bytes + size > self.limit {
            self.older = mem::take(&mut self.newer);
        }
        self.newer.bytes += size;
        let before = self.newer.functions.insert(key, code);
        // A key that was there keeps its length.
        let freed = before.map_or(0, |before| key_length + before.len());
        self.newer.bytes -= freed;
        true
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.newer.bytes + self.older.bytes
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of functions", self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_bound_holds() {
        let mut functions = Functions::new(200);
        assert!(functions.insert(b"used".to_vec(), vec![1; 16]));
        for place in 0_u8..100 {
            assert!(functions.insert(vec![place], vec![place; 19]));
            assert_eq!(functions.get(b"used"), Some(vec![1; 16]), "{place}");
            assert!(functions.bytes() <= 200, "{}", functions.bytes());
        }
        assert_eq!(functions.get(&[0]), None);
        assert_eq!(functions.get(&[99]), Some(vec![99; 19]));
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_a_second_insert_replaces() {
        let mut functions = Functions::new(40);
        assert!(!functions.insert(b"a".to_vec(), vec![0; 20]));
        assert_eq!((functions.get(b"a"), functions.bytes()), (None, 0));
        for _ in 0..3 {
            assert!(functions.insert(b"a".to_vec(), vec![0; 5]));
            assert_eq!(functions.bytes(), 6);
        }
        assert!(functions.insert(b"a".to_vec(), vec![7; 9]));
        assert_eq!(
            (functions.get(b"a"), functions.bytes()),
            (Some(vec![7; 9]), 10)
        );
    }
}
