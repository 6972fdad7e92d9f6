//! `set_envoy_filter_state` and `declare_property`: what a filter leaves for the rest of the stream.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::wire::Message;
use crate::{
    abi::{CallStatus, ForeignAnswer},
    proxy::{
        ActiveContext,
        filter_state::{BYTES_MAX, FilterStateObject},
    },
    trace::What,
};

/// How a property that a filter sets behaves, as it was declared on the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    /// It can be set once in a stream.
    pub(crate) read_only: bool,
}

/// What an object of Envoy's makes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Anything,
    Number,
    Address,
    AddressWithPort,
    Truth,
}

/// The objects that Envoy 1.40's release binary can make from bytes, of those it documents
/// (`docs/root/configuration/advanced/well_known_filter_state.rst`); each was tried.
const OBJECTS: &[(&str, Takes)] = &[
    ("envoy.bool", Takes::Truth),
    ("envoy.filters.listener.original_dst.local_ip", Takes::AddressWithPort),
    ("envoy.filters.listener.original_dst.remote_ip", Takes::AddressWithPort),
    ("envoy.hashable_string", Takes::Anything),
    ("envoy.network.application_protocols", Takes::Anything),
    ("envoy.network.ip", Takes::Address),
    ("envoy.network.network_namespace", Takes::Anything),
    ("envoy.network.transport_socket.original_dst_address", Takes::AddressWithPort),
    ("envoy.network.upstream_server_name", Takes::Anything),
    ("envoy.network.upstream_subject_alt_names", Takes::Anything),
    ("envoy.ratelimit.hits_addend", Takes::Number),
    ("envoy.string", Takes::Anything),
    ("envoy.tcp_proxy.cluster", Takes::Anything),
    ("envoy.tcp_proxy.disable_tunneling", Takes::Anything),
    ("envoy.tcp_proxy.per_connection_idle_timeout_ms", Takes::Number),
    ("envoy.upstream.dynamic_host", Takes::Anything),
    ("envoy.upstream.dynamic_port", Takes::Number),
];

impl ActiveContext {
    /// Of the effective context.
    pub(super) fn set_envoy_filter_state(&mut self, arguments: &Bytes) -> ForeignAnswer {
        let answer = |status| ForeignAnswer::status(status);
        let Some(arguments) = Message::parse(arguments) else {
            return answer(CallStatus::BadArgument);
        };
        let (Some(path), Some(_)) = (arguments.text(1), arguments.text(2)) else {
            return answer(CallStatus::BadArgument);
        };
        let Some((_, takes)) = OBJECTS.iter().find(|(name, _)| *name == path) else {
            return answer(CallStatus::NotFound);
        };
        let value = arguments.bytes(2);
        if !takes.takes(&value) {
            return answer(CallStatus::BadArgument);
        }
        let Some(state) = self.filter_state_mut() else {
            return answer(CallStatus::NotFound);
        };
        let (name, bytes) = (Bytes::from(path), value.len());
        let span = Some(arguments.number(3)).filter(|span| *span <= 2).unwrap_or(0);
        // Envoy keeps what is there under another life span, and says nothing.
        if state.span(name.as_ref()).is_some_and(|there| there != span) {
            return answer(CallStatus::Ok);
        }
        let object = FilterStateObject { value, read_only: false, span };
        match state.set(name.clone(), object) {
            Ok(stored) => self.check_room(stored, "the filter state holds", BYTES_MAX),
            Err(status) => return answer(status),
        }
        self.note(What::SetProperty { path: name, bytes });
        answer(CallStatus::Ok)
    }

    /// Of the current context, and only what a root declares is ever consulted.
    pub(super) fn declare_property(&mut self, arguments: &Bytes) -> ForeignAnswer {
        let Some(arguments) = Message::parse(arguments) else {
            return ForeignAnswer::status(CallStatus::BadArgument);
        };
        let declared = Declared { read_only: arguments.number(4) != 0 };
        let current = self.current;
        let data = self.core.vms[self.vm.0].foreign.entry(current).or_default();
        if data.declared.contains_key(&arguments.bytes(1)) {
            return ForeignAnswer::status(CallStatus::BadArgument);
        }
        data.declared.insert(arguments.bytes(1), declared);
        ForeignAnswer::status(CallStatus::Ok)
    }

    /// Whether the root has declared that the property can be set once in a stream.
    pub(in crate::proxy) fn is_declared_read_only(&self, path: &Bytes) -> bool {
        let root = self.core.plugins[self.effective_plugin().0].root;
        let declared = self.core.vms[self.vm.0].foreign.get(&root).and_then(|data| data.declared.get(path));
        declared.is_some_and(|declared| declared.read_only)
    }
}

impl Takes {
    fn takes(self, value: &[u8]) -> bool {
        let text = std::str::from_utf8(value).unwrap_or_default();
        match self {
            Takes::Anything => true,
            Takes::Number => text.parse::<u64>().is_ok(),
            Takes::Address => text.parse::<IpAddr>().is_ok(),
            Takes::AddressWithPort => text.parse::<SocketAddr>().is_ok(),
            Takes::Truth => matches!(text, "true" | "false"),
        }
    }
}
