//! Shared data of one proxy: keyed by the `vm_id` and the key, seen by every VM with that id.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::ActiveContext;
use crate::{
    abi::{CallResult, CallStatus},
    trace::FindingKind,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct SharedData {
    /// By `vm_id`, then by key.
    entries: BTreeMap<String, BTreeMap<Bytes, (Bytes, u32)>>,
    last_cas: u32,
    /// Of all keys and values.
    bytes: usize,
}

/// What all entries hold at most; Envoy has no limit. More is dropped, and reported.
pub(crate) const BYTES_MAX: usize = 256 * 1024 * 1024;

/// Whether a value was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Yes,
    NoRoom,
}

impl SharedData {
    pub(crate) fn get(&self, vm_id: &str, key: &[u8]) -> CallResult<(Bytes, u32)> {
        self.entries.get(vm_id).and_then(|entries| entries.get(key)).cloned().ok_or(CallStatus::NotFound)
    }

    /// A number of 0 writes blindly; any other must be that of the entry, unless there is none: then it creates one.
    pub(crate) fn set(&mut self, vm_id: &str, key: &[u8], value: Bytes, cas: u32) -> CallResult<Stored> {
        let entries = self.entries.get_mut(vm_id);
        let there = entries.and_then(|entries| entries.get_mut(key));
        if there.as_ref().is_some_and(|(_, current)| cas != 0 && *current != cas) {
            return Err(CallStatus::CasMismatch);
        }
        let freed = there.as_ref().map_or(0, |(old, _)| old.len() + key.len());
        let bytes = (self.bytes - freed).saturating_add(key.len()).saturating_add(value.len());
        if bytes > BYTES_MAX {
            return Ok(Stored::NoRoom);
        }
        self.last_cas = self.last_cas.wrapping_add(1).max(1);
        self.bytes = bytes;
        match there {
            Some(entry) => *entry = (value, self.last_cas),
            None => {
                let (key, entry) = (Bytes::copy_from_slice(key), (value, self.last_cas));
                self.entries.entry(vm_id.to_owned()).or_default().insert(key, entry);
            }
        }
        Ok(Stored::Yes)
    }
}

impl ActiveContext {
    /// Tells of what was dropped, where Envoy would have kept it.
    pub(super) fn check_room(&mut self, stored: Stored, holder: &str, bytes: usize) {
        if stored == Stored::NoRoom {
            let text = format!("{holder} {bytes} bytes: what was to be added was dropped");
            self.finding(FindingKind::BoundReached, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_no_entry_ever_had_creates_once() {
        let mut data = SharedData::default();
        assert_eq!(data.set("vm", b"k", "first".into(), u32::MAX), Ok(Stored::Yes));
        assert_eq!(data.set("vm", b"k", "second".into(), u32::MAX), Err(CallStatus::CasMismatch));
        assert_eq!(data.get("vm", b"k"), Ok(("first".into(), 1)));
        assert_eq!(data.get("other", b"k"), Err(CallStatus::NotFound));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_what_is_overwritten_makes_room() {
        let mut data = SharedData::default();
        let half = Bytes::from(vec![0; BYTES_MAX / 2]);
        assert_eq!(data.set("vm", b"a", half.clone(), 0), Ok(Stored::Yes));
        assert_eq!(data.set("vm", b"b", half.clone(), 0), Ok(Stored::NoRoom));
        assert_eq!(data.get("vm", b"b"), Err(CallStatus::NotFound));
        assert_eq!(data.set("vm", b"a", half, 0), Ok(Stored::Yes));
    }
}
