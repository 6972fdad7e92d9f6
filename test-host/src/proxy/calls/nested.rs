//! What a guest is shown during the callbacks of its calls, and the callbacks that Envoy makes while the guest still waits
//! for a hostcall.
//!
//! Seen on Envoy 1.40 where nobody needs to be asked: a gRPC stream to a cluster without hosts, and an address to resolve.
//! All other ends are told once the guest has returned.

use bytes::Bytes;

use crate::proxy::ActiveContext;
use crate::proxy::grpc::Told;
use crate::{
    abi::{CallResult, CallStatus, Callback, ContextId, MapType},
    message::HeaderMap,
    trace::FindingKind,
};

/// What the maps 4 and 5 and the buffers 5 and 8 hold, during one callback.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    initial: Option<HeaderMap>,
    trailing: Option<HeaderMap>,
    pub(crate) message: Option<Bytes>,
    pub(crate) call_data: Option<Bytes>,
}

impl Shown {
    pub(crate) fn of(told: Told) -> Self {
        match told {
            Told::Initial(map) => Shown { initial: Some(map), ..Shown::default() },
            Told::Trailing(map) => Shown { trailing: Some(map), ..Shown::default() },
            Told::Message(bytes) => Shown { message: Some(bytes), ..Shown::default() },
            Told::Closed { .. } => Shown::default(),
        }
    }

    pub(crate) fn call_data(data: Bytes) -> Self {
        Shown { call_data: Some(data), ..Shown::default() }
    }

    /// Envoy lets the guest write to the message it has just been told, by the rules of bodies.
    pub(crate) fn write_message(&mut self, start: usize, len: usize, data: &[u8]) -> CallResult {
        let message = self.message.as_mut().ok_or(CallStatus::BadArgument)?;
        *message = if start == 0 {
            [data, message.get(len..).unwrap_or_default()].concat().into()
        } else if start >= message.len() {
            [&message[..], data].concat().into()
        } else {
            return Err(CallStatus::BadArgument);
        };
        Ok(())
    }

    pub(crate) fn map(&self, map: MapType) -> Option<&HeaderMap> {
        match map {
            MapType::GrpcInitialMetadata => self.initial.as_ref(),
            MapType::GrpcTrailingMetadata => self.trailing.as_ref(),
            _ => None,
        }
    }
}

/// A callback within a hostcall, still to be made.
#[derive(Debug)]
pub(crate) enum Nested {
    Grpc { token: u32, told: Told },
    Resolved { token: u32, result: Bytes },
}

/// What a nested callback has put aside.
#[derive(Debug)]
pub(crate) struct Outer {
    current: ContextId,
    effective: Option<ContextId>,
}

impl ActiveContext {
    pub(in crate::proxy) fn begin_nested(&mut self) -> Option<(ContextId, Callback)> {
        let nested = self.nested.pop_front()?;
        let text = "the guest is called again before its hostcall has returned: the Rust SDK panics of that";
        self.finding(FindingKind::ReentersGuest, text);
        let root = self.core.plugins[self.effective_plugin().0].root;
        let (current, effective) = self.act_for(root, None);
        self.outer.push(Outer { current, effective });
        let (callback, shown) = match nested {
            Nested::Grpc { token, told } => (told.callback(token), Shown::of(told)),
            Nested::Resolved { token, result } => {
                let size = u32::try_from(result.len()).unwrap_or(u32::MAX);
                (Callback::ResolveDns { token, size }, Shown::call_data(result))
            }
        };
        self.shown = shown;
        Some((root, callback))
    }

    pub(in crate::proxy) fn end_nested(&mut self) {
        self.shown = Shown::default();
        if let Some(Outer { current, effective }) = self.outer.pop() {
            self.act_for(current, effective);
        }
    }
}
