//! What a filter cost: counted, not timed, and so the same on every machine.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Instructions, as wasmtime's fuel counts them. `None` where they were not counted.
    pub fuel: Option<u64>,
    /// Bytes the host read out of the guest's memory.
    pub bytes_from_guest: u64,
    /// Bytes the host wrote into it.
    pub bytes_to_guest: u64,
    /// Calls by import name.
    pub hostcalls: BTreeMap<&'static str, u64>,
}

impl Usage {
    pub fn count(&mut self, hostcall: &'static str, read: usize, written: usize) {
        *self.hostcalls.entry(hostcall).or_default() += 1;
        self.bytes_from_guest += read as u64;
        self.bytes_to_guest += written as u64;
    }

    /// Adds fuel, where it was counted.
    pub fn burn(&mut self, fuel: Option<u64>) {
        self.fuel = self.fuel.into_iter().chain(fuel).reduce(u64::saturating_add);
    }

    pub fn add(&mut self, other: &Usage) {
        self.burn(other.fuel);
        self.bytes_from_guest += other.bytes_from_guest;
        self.bytes_to_guest += other.bytes_to_guest;
        for (name, calls) in &other.hostcalls {
            *self.hostcalls.entry(name).or_default() += calls;
        }
    }
}
