//! The attributes that a guest can read: how a path is resolved (`envoy-abi` 6.1; Envoy's
//! `source/extensions/common/wasm/context.cc`). Which there are, of which type and when, is the [`catalogue`].

pub(super) mod catalogue;
mod expression;
mod messages;
mod peers;
mod request;
mod response;
mod upstream;
mod value;
mod xds;

use std::{cell::Cell, time::Duration};

use bytes::Bytes;

pub(super) use self::expression::value_for_expression;
use self::{
    catalogue::{ROOTS, Root},
    value::Value,
};
use super::{
    core::{Core, PluginIndex},
    filter_state::{self, FilterState},
    spec::{ListenerSpec, PluginSpec, TcpListenerSpec},
    streams::state::{FilterContext, StreamState},
    tcp::{NetworkFilter, TcpState},
};
use crate::{
    abi::{CallResult, CallStatus},
    message::Connection,
    stream::MessageState,
};

/// What one guest's context can see of the proxy now.
#[derive(Clone, Copy)]
pub(crate) struct View<'v> {
    core: &'v Core,
    plugin: &'v PluginSpec,
    /// `None` in root contexts.
    stream: Option<(&'v StreamState, &'v FilterContext)>,
    /// The response in sight: an upstream filter sees that of its attempt.
    response: Option<&'v MessageState>,
    /// `None` but in the contexts of network filters.
    tcp: Option<&'v TcpState>,
    lacking: &'v Cell<Option<&'static str>>,
}

/// What was read, and what was asked for that the recording does not tell.
pub(crate) struct Read {
    pub(crate) value: CallResult<Bytes>,
    pub(crate) lacking: Option<&'static str>,
}

/// Reads the property at a path whose parts are separated by NUL.
pub(crate) fn get(
    core: &Core,
    plugin: PluginIndex,
    stream: Option<(&StreamState, &FilterContext)>,
    connection: Option<(&TcpState, &NetworkFilter)>,
    path: &[u8],
) -> Read {
    let lacking = Cell::new(None);
    let view = View::of(core, plugin, stream, connection, &lacking).ok_or(CallStatus::NotFound);
    let value = view.and_then(|view| view.resolve(path)?.encode());
    Read { value, lacking: lacking.get() }
}

impl<'v> View<'v> {
    fn of(
        core: &'v Core,
        plugin: PluginIndex,
        stream: Option<(&'v StreamState, &'v FilterContext)>,
        connection: Option<(&'v TcpState, &NetworkFilter)>,
        lacking: &'v Cell<Option<&'static str>>,
    ) -> Option<Self> {
        // But for its response, all that an attempt is asked for is its client's stream's.
        let client = |stream: &StreamState| stream.attempt_of.and_then(|id| core.streams.get(&id));
        Some(View {
            core,
            plugin: &core.plugins.get(plugin.0)?.spec,
            stream: stream.map(|(stream, filter)| (client(stream).unwrap_or(stream), filter)),
            response: stream.map(|(stream, _)| &stream.manager.response),
            tcp: connection.map(|(state, _)| state),
            lacking,
        })
    }

    /// An empty path is a value without bytes, as are the roots that are no messages; one NUL at the end means nothing.
    fn resolve(self, path: &[u8]) -> CallResult<Value<'v>> {
        if path.is_empty() {
            return Err(CallStatus::SerializationFailure);
        }
        let path = path.strip_suffix(b"\0").unwrap_or(path);
        let mut parts = path.split(|byte| *byte == 0);
        let first = parts.next().unwrap_or_default();
        let mut value = match ROOTS.iter().find(|root| root.name.as_bytes() == first) {
            Some(root) => self.at_root(root, &mut parts)?,
            None => self.own(first)?,
        };
        for part in parts {
            value = value.step(part).ok_or(CallStatus::NotFound)?;
        }
        Ok(value)
    }

    fn at_root<'p>(self, root: &Root, parts: &mut impl Iterator<Item = &'p [u8]>) -> CallResult<Value<'v>> {
        if !(root.exists)(&self) {
            return Err(CallStatus::NotFound);
        }
        if let Some(whole) = root.whole {
            return whole(&self).ok_or(CallStatus::NotFound);
        }
        let name = parts.next().ok_or(CallStatus::SerializationFailure)?;
        let value = match root.attributes.iter().find(|attribute| attribute.name.as_bytes() == name) {
            Some(attribute) => (attribute.read)(&self),
            None => root.others.and_then(|others| others(&self, name)),
        };
        value.ok_or(CallStatus::NotFound)
    }

    /// What `proxy_set_property` left under a path of one part.
    fn own(self, name: &[u8]) -> CallResult<Value<'v>> {
        let state = self.filter_state().ok_or(CallStatus::NotFound)?;
        let value = state.get(&filter_state::name_of_property(name)).ok_or(CallStatus::NotFound)?;
        Ok(Value::text(value))
    }

    fn filter_state(&self) -> Option<&'v FilterState> {
        let of_connection = || self.tcp.map(|tcp| &tcp.filter_state);
        self.stream.map(|(stream, _)| &stream.filter_state).or_else(of_connection)
    }

    fn connection(&self) -> Option<&'v Connection> {
        let of_tcp = || self.tcp.map(|tcp| &tcp.recorded.connection);
        self.stream.map(|(stream, _)| &stream.exchange.connection).or_else(of_tcp)
    }

    /// Whether there is a stream or a connection.
    fn has_traffic(&self) -> bool {
        self.stream.is_some() || self.tcp.is_some()
    }

    fn http_listener(&self) -> Option<&'v ListenerSpec> {
        self.core.spec.listeners.get(self.stream?.0.listener)
    }

    fn tcp_listener(&self) -> Option<&'v TcpListenerSpec> {
        self.core.spec.tcp_listeners.get(self.tcp?.listener)
    }

    /// When the stream or the connection began, in virtual time.
    fn started(&self) -> Option<Duration> {
        self.stream.map(|(stream, _)| stream.started).or_else(|| self.tcp.map(|tcp| tcp.started))
    }

    /// The value; where the recording does not tell it, that is noted.
    fn recorded<T>(&self, fact: Option<T>, name: &'static str) -> Option<T> {
        if fact.is_none() {
            self.lacking.set(Some(name));
        }
        fact
    }
}
