//! How many instances this machine can hold, and wasmtime engines configured for it.
//!
//! Exhausting the kernel's map count aborts the process in some later malloc, so the pool is cut to what fits before
//! anything runs, and the cut is logged.

use crate::EngineError;
use osier_wasm::Functions;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;
use wasmtime::{
    CacheStore, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};

/// Memory maps that one live instance takes: four for its memory, two for its stack, with room for error.
const MAPS_PER_INSTANCE: u64 = 8;
/// Maps left to the rest of the process: code, heaps, threads, files.
const MAPS_RESERVED: u64 = 20_000;
/// Address space takes a 4 GiB reservation and a guard for each memory; more than this never fits into 47 bits.
const MOST_INSTANCES: u32 = 16_000;
/// Bytes that a place of the pool keeps of its last instance's memory, cleared, and likewise of its stack: every place that was ever used
/// does, for as long as the process lives. A small guest touches no more; of a large one the rest goes back to the system, which costs
/// the next instance about 20 µs.
const KEPT_MEMORY: usize = 64 << 10;
const KEPT_STACK: usize = 16 << 10;
/// Places of the pool that stay set up for the component that they last held.
const MOST_UNUSED: u32 = 256;
/// Fewer are not worth a pool: the engine then allocates on demand.
const FEWEST_INSTANCES: u32 = 16;

/// What an engine's pool must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    /// Components alive at the same time.
    pub(crate) instances: u32,
    /// Whether guests run on stacks of their own (asynchronous calls).
    pub(crate) stacks: bool,
}

impl Pool {
    /// As much of `wanted` as the machine allows.
    pub(crate) fn fitting(wanted: u32, stacks: bool) -> Self {
        let instances = fit(wanted, max_map_count());
        if instances < wanted.min(MOST_INSTANCES) {
            tracing::warn!(
                wanted,
                instances,
                "fewer instances than asked for: vm.max_map_count is too low; raise it with `sysctl vm.max_map_count=1048576`"
            );
        } else if instances < wanted {
            tracing::info!(
                wanted,
                instances,
                "fewer instances than asked for: the address space of a process holds no more; services share them, programs have one each"
            );
        }
        Self { instances, stacks }
    }

    fn halved(self) -> Option<Self> {
        let instances = self.instances / 2;
        (instances >= FEWEST_INSTANCES).then_some(Self { instances, ..self })
    }

    fn allocation(self) -> PoolingAllocationConfig {
        let n = self.instances;
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(n)
            .total_core_instances(n.saturating_mul(8))
            .total_memories(n.saturating_add(n / 4))
            .total_tables(n.saturating_mul(6))
            .total_stacks(if self.stacks { n } else { 1 })
            .max_core_instances_per_component(64)
            .max_memories_per_component(8)
            .max_tables_per_component(32)
            .max_component_instance_size(8 << 20)
            .max_core_instance_size(8 << 20)
            .table_elements(20_000)
            .linear_memory_keep_resident(KEPT_MEMORY)
            .table_keep_resident(4 << 10)
            .async_stack_keep_resident(KEPT_STACK)
            .pagemap_scan(Enabled::Auto)
            .max_unused_warm_slots((n / 10).clamp(16, MOST_UNUSED));
        pool
    }
}

fn fit(wanted: u32, maps: u64) -> u32 {
    let by_maps = maps.saturating_sub(MAPS_RESERVED.min(maps / 3)) / MAPS_PER_INSTANCE;
    wanted
        .min(u32::try_from(by_maps).unwrap_or(u32::MAX))
        .min(MOST_INSTANCES)
}

fn max_map_count() -> u64 {
    let read = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    read.and_then(|text| text.trim().parse().ok())
        .unwrap_or(65_530)
}

/// Makes an engine with as large a pool as the machine grants, down to none, and so many bytes for functions to compile only once.
pub(crate) fn engine((pool, calls, reuse): (Pool, Calls, usize)) -> Result<Engine, EngineError> {
    let failed = |error: wasmtime::Error| EngineError::Machine {
        reason: format!("{error:#}"),
    };
    let mut config = config(calls);
    if reuse > 0 {
        let store = Arc::new(Compiled(Mutex::new(Functions::new(reuse))));
        config
            .enable_incremental_compilation(store)
            .map_err(failed)?;
    }
    let mut attempt = Some(pool);
    while let Some(pool) = attempt {
        let strategy = InstanceAllocationStrategy::Pooling(pool.allocation());
        match Engine::new(config.allocation_strategy(strategy)) {
            Ok(engine) => return Ok(engine),
            Err(error) => tracing::warn!(
                instances = pool.instances,
                error = format!("{error:#}"),
                "the machine cannot hold a pool of this size; trying a smaller one"
            ),
        }
        attempt = pool.halved();
    }
    tracing::warn!(
        "no instance pool fits this machine: instances are allocated on demand, each start costs about 50 µs more"
    );
    let on_demand = InstanceAllocationStrategy::OnDemand;
    Engine::new(config.allocation_strategy(on_demand)).map_err(failed)
}

/// Functions that were compiled, as wasmtime asks for them.
#[derive(Debug)]
struct Compiled(Mutex<Functions>);

impl CacheStore for Compiled {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.0.lock().get(key).map(Cow::Owned)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.0.lock().insert(key.to_vec(), value)
    }
}

/// How guests are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    /// One after the other. WASI 0.2 has no asynchronous calls; without their support a call costs a third and less can go wrong.
    Serial,
    /// Many at once in one instance, as WASI 0.3 has it.
    Concurrent,
}

/// Code generation is the same for workloads and plugins, so that they can share compiled code.
fn config(calls: Calls) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(calls == Calls::Concurrent)
        .memory_init_cow(true)
        .async_stack_size(512 << 10)
        .max_wasm_stack(256 << 10)
        .wasm_backtrace_max_frames(NonZeroUsize::new(20));
    config
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_pool_stays_within_the_map_count() {
        assert_eq!(fit(1000, 65_530), 1000);
        assert_eq!(fit(10_000, 65_530), 5_691);
        assert_eq!(fit(50_000, 1_048_576), MOST_INSTANCES);
        assert_eq!(fit(1000, 600), 50);
    }

    #[test]
    fn a_pool_that_does_not_fit_is_made_smaller() {
        // 10 million reservations of 4 GiB exceed every address space.
        let pool = Pool {
            instances: 10_000_000,
            stacks: false,
        };
        let engine = engine((pool, Calls::Serial, 0)).unwrap();
        let pool = engine.get_pooling_config().unwrap();
        assert!(pool.get_total_component_instances() < 10_000_000);
    }
}
