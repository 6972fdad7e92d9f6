//! What filters keep with a stream or a connection: Envoy's filter state, as far as guests can reach it.

use std::collections::BTreeMap;

use bytes::Bytes;

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
pub(crate) struct FilterState(BTreeMap<Bytes, FilterStateObject>);

/// The name of what `proxy_set_property` makes.
pub(crate) fn name_of_property(path: &[u8]) -> Bytes {
    [b"wasm.", path].concat().into()
}

impl FilterState {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Bytes> {
        self.0.get(name).map(|object| &object.value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.0.iter().map(|(name, object)| (name, &object.value))
    }

    /// How long the object lives, as it was set: 0 with the filter chain, 1 with the request, 2 with the connection.
    pub(crate) fn span(&self, name: &[u8]) -> Option<u64> {
        self.0.get(name).map(|object| object.span)
    }

    /// `BadArgument`: what is there is read-only.
    pub(crate) fn set(&mut self, name: Bytes, object: FilterStateObject) -> CallResult {
        if self.0.get(&name).is_some_and(|there| there.read_only) {
            return Err(CallStatus::BadArgument);
        }
        self.0.insert(name, object);
        Ok(())
    }
}
