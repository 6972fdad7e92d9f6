//! What a filter cost: counted, not timed, and so the same on every machine.

use std::fmt;

use serde::{Serialize, Serializer};
use smallvec::SmallVec;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Instructions, as wasmtime's fuel counts them. `None` where they were not counted.
    pub fuel: Option<u64>,
    /// Bytes the host read out of the guest's memory.
    pub bytes_from_guest: u64,
    /// Bytes the host wrote into it.
    pub bytes_to_guest: u64,
    /// Calls by import name.
    pub hostcalls: Counts,
}

impl Usage {
    pub fn count(&mut self, hostcall: &'static str, read: usize, written: usize) {
        self.hostcalls.add(hostcall, 1);
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
        for (name, calls) in other.hostcalls.iter() {
            self.hostcalls.add(name, calls);
        }
    }
}

/// How often each name came. A filter calls a handful of hostcalls, each of them from one place: a short list is looked
/// through faster than any map.
#[derive(Clone, Default)]
pub struct Counts(SmallVec<[(&'static str, u64); 8]>);

impl Counts {
    pub fn add(&mut self, name: &'static str, times: u64) {
        // Mostly the very same text, not only an equal one.
        let same = self.0.iter().position(|(known, _)| std::ptr::eq(*known, name));
        let place = same.or_else(|| self.0.iter().position(|(known, _)| *known == name));
        match place.and_then(|place| self.0.get_mut(place)) {
            Some((_, count)) => *count += times,
            None => self.0.push((name, times)),
        }
    }

    pub fn get(&self, name: &str) -> u64 {
        self.0.iter().find(|(known, _)| *known == name).map_or(0, |(_, times)| *times)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let mut by_name = self.0.clone();
        by_name.sort_unstable();
        by_name.into_iter()
    }
}

impl PartialEq for Counts {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Counts {}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name_wherever_the_name_lies() {
        let other: &'static str = String::from("b").leak();
        let mut counts = Counts::default();
        for name in ["b", "a", other, "c", "b"] {
            counts.add(name, 1);
        }
        assert_eq!(format!("{counts:?}"), r#"{"a": 1, "b": 3, "c": 1}"#);
        assert_eq!((counts.get("b"), counts.get("d")), (3, 0));
    }
}
