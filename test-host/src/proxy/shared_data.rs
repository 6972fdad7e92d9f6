//! Shared data of one proxy: keyed by the `vm_id` and the key, seen by every VM with that id.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::abi::{CallResult, CallStatus};

#[derive(Clone, Debug, Default)]
pub(crate) struct SharedData {
    /// By `vm_id`, then by key.
    entries: BTreeMap<String, BTreeMap<Bytes, (Bytes, u32)>>,
    last_cas: u32,
}

impl SharedData {
    pub(crate) fn get(&self, vm_id: &str, key: &[u8]) -> CallResult<(Bytes, u32)> {
        self.entries.get(vm_id).and_then(|entries| entries.get(key)).cloned().ok_or(CallStatus::NotFound)
    }

    /// A number of 0 writes blindly; any other must be that of the entry, unless there is none: then it creates one.
    pub(crate) fn set(&mut self, vm_id: &str, key: Bytes, value: Bytes, cas: u32) -> CallResult {
        let last_cas = self.last_cas.wrapping_add(1).max(1);
        match self.entries.get_mut(vm_id).and_then(|entries| entries.get_mut(&key)) {
            Some((_, current)) if cas != 0 && *current != cas => return Err(CallStatus::CasMismatch),
            Some(entry) => *entry = (value, last_cas),
            None => {
                self.entries.entry(vm_id.to_owned()).or_default().insert(key, (value, last_cas));
            }
        }
        self.last_cas = last_cas;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_no_entry_ever_had_creates_once() {
        let mut data = SharedData::default();
        assert_eq!(data.set("vm", "k".into(), "first".into(), u32::MAX), Ok(()));
        assert_eq!(data.set("vm", "k".into(), "second".into(), u32::MAX), Err(CallStatus::CasMismatch));
        assert_eq!(data.get("vm", b"k"), Ok(("first".into(), 1)));
        assert_eq!(data.get("other", b"k"), Err(CallStatus::NotFound));
    }
}
