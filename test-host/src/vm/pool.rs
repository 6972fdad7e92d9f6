//! Room for VMs that is set aside once: one that starts where another has ended costs a third of one that asks the system.

use wasmtime::{Config, Enabled, Engine, Error, PoolConcurrencyLimitError, PoolingAllocationConfig};

use super::instance::TABLE_ENTRIES_MAX;

/// VMs at once: a chain on a few threads, many times over. Each takes address space, and memory only once it is used.
const SLOTS: u32 = 128;

/// The most a memory can have: what a VM may use of it, [`Limits`](super::Limits) say.
const MEMORY_MAX: usize = 1 << 32;

/// An instance without its memory and tables. wasmtime's own default; larger ones, of modules with very many functions, do
/// not fit.
const INSTANCE_BYTES: usize = 1 << 20;

/// Bytes of a memory that stay with it from one VM to the next, made as they were, where Linux (6.7 and later) tells which
/// ones were touched: cheaper than giving them back and faulting them in again.
const RESIDENT: usize = 1 << 20;

/// `None`: the system has no room.
pub(super) fn engine(config: &Config) -> Option<Engine> {
    let mut slots = PoolingAllocationConfig::new();
    slots
        .total_core_instances(SLOTS)
        .total_memories(SLOTS)
        .total_tables(SLOTS)
        .max_memory_size(MEMORY_MAX)
        .table_elements(TABLE_ENTRIES_MAX)
        .max_core_instance_size(INSTANCE_BYTES);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        slots.pagemap_scan(Enabled::Auto).linear_memory_keep_resident(RESIDENT).table_keep_resident(RESIDENT);
    }
    Engine::new(config.clone().allocation_strategy(slots)).ok()
}

/// Whether it was only the pool that had no room.
pub(super) fn is_full(error: &Error) -> bool {
    error.is::<PoolConcurrencyLimitError>()
}
