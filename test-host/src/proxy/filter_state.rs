//! What filters keep with a stream or a connection: Envoy's filter state, as far as guests can reach it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::shared_data::Stored;
use crate::abi::{CallResult, CallStatus};

/// One object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilterStateObject {
    pub(crate) value: Bytes,
    /// It was declared so: a second value is refused.
    pub(crate) read_only: bool,
    /// See [`FilterState::span`].
    pub(crate) span: u64,
}

/// Objects by name. Those that `proxy_set_property` makes are named `wasm.` and the path as given, NULs included.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterState {
    objects: BTreeMap<Bytes, FilterStateObject>,
    /// Of all names and values.
    bytes: usize,
}

/// What one stream or connection holds at most; Envoy has no limit. More is dropped, and reported.
pub(crate) const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The name of what `proxy_set_property` makes.
pub(crate) fn name_of_property(path: &[u8]) -> Bytes {
    [b"wasm.", path].concat().into()
}

impl FilterState {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Bytes> {
        self.objects.get(name).map(|object| &object.value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.objects.iter().map(|(name, object)| (name, &object.value))
    }

    /// How long the object lives, as it was set: 0 with the filter chain, 1 with the request, 2 with the connection.
    pub(crate) fn span(&self, name: &[u8]) -> Option<u64> {
        self.objects.get(name).map(|object| object.span)
    }

    /// Whether there was room for it. `BadArgument`: what is there is read-only.
    pub(crate) fn set(&mut self, name: Bytes, object: FilterStateObject) -> CallResult<Stored> {
        let there = self.objects.get(&name);
        if there.is_some_and(|there| there.read_only) {
            return Err(CallStatus::BadArgument);
        }
        let freed = there.map_or(0, |there| name.len() + there.value.len());
        let bytes = (self.bytes - freed).saturating_add(name.len()).saturating_add(object.value.len());
        if bytes > BYTES_MAX {
            return Ok(Stored::NoRoom);
        }
        self.bytes = bytes;
        self.objects.insert(name, object);
        Ok(Stored::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped() {
        let mut state = FilterState::default();
        let object =
            |bytes| FilterStateObject { value: vec![0; bytes].into(), ..FilterStateObject::default() };
        assert_eq!(state.set("a".into(), object(BYTES_MAX - 1)), Ok(Stored::Yes));
        assert_eq!(state.set("b".into(), object(0)), Ok(Stored::NoRoom));
        assert_eq!(state.set("a".into(), object(0)), Ok(Stored::Yes));
        assert_eq!(state.set("b".into(), object(0)), Ok(Stored::Yes));
    }
}
