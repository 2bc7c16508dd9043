//! Memory limits: one budget for a container, one meter for each of its instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::ResourceLimiter;

/// Elements of all kinds that one table may have; a table is host memory and not part of the budget.
const TABLE_ELEMENTS: usize = 100_000;

/// Bytes of linear memory that the instances of one container share.
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
        })
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    fn give(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one instance holds of the budget, over all its memories.
pub(crate) struct Meter {
    budget: Arc<Budget>,
    held: u64,
    /// The growth that was just allowed, to be given back if the system refuses it.
    pending: u64,
    refused: bool,
}

impl Meter {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self {
            budget,
            held: 0,
            pending: 0,
            refused: false,
        }
    }

    /// Whether a growth was refused since the last [`Meter::forget`]: the cause of a trap that follows.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    pub(crate) fn forget(&mut self) {
        self.refused = false;
    }

    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    pub(crate) fn limit(&self) -> u64 {
        self.budget.limit()
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = desired.saturating_sub(current) as u64;
        let granted = self.budget.take(wanted);
        if granted {
            self.held += wanted;
            self.pending = wanted;
        } else {
            self.refused = true;
        }
        Ok(granted)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        let back = std::mem::take(&mut self.pending);
        self.held -= back;
        self.budget.give(back);
        Ok(())
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.budget.give(self.held);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn instances_share_the_budget_and_give_it_back() {
        let budget = Budget::new(100);
        let mut one = Meter::new(budget.clone());
        let mut other = Meter::new(budget.clone());
        assert!(one.memory_growing(0, 60, None).unwrap());
        assert!(!other.memory_growing(0, 50, None).unwrap());
        assert!(other.refused() && !one.refused());
        drop(one);
        assert_eq!(budget.used(), 0);
        assert!(other.memory_growing(0, 50, None).unwrap());
        assert_eq!(budget.used(), 50);
    }

    #[test]
    fn a_growth_that_the_system_refuses_is_given_back_once() {
        let budget = Budget::new(100);
        let mut meter = Meter::new(budget.clone());
        assert!(meter.memory_growing(0, 60, None).unwrap());
        meter
            .memory_grow_failed(wasmtime::Error::msg("mmap"))
            .unwrap();
        meter
            .memory_grow_failed(wasmtime::Error::msg("mmap"))
            .unwrap();
        assert_eq!((budget.used(), meter.held()), (0, 0));
    }

    #[test]
    fn a_growth_beyond_the_modules_own_maximum_is_not_the_limits_doing() {
        let mut meter = Meter::new(Budget::new(100));
        assert!(!meter.memory_growing(10, 30, Some(20)).unwrap());
        assert!(!meter.refused());
    }
}
