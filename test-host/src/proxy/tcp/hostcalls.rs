//! What a network filter's guest can do to its connection: buffers 2 and 3, `continue_stream` and `close_stream`.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};

use super::{ConnectionId, NetworkFilter, TcpState};
use crate::{
    abi::{BufferType, CallResult, CallStatus},
    proxy::{
        ActiveContext,
        core::{Effect, Owner},
        filter_state::FilterState,
    },
    stream::{FilterIndex, Path},
    trace::{BodyEdit, What},
};

impl ActiveContext {
    pub(in crate::proxy) fn connection(&self) -> Option<(&TcpState, &NetworkFilter)> {
        let (id, filter) = self.connection_id()?;
        let state = self.core.connections.get(&id)?;
        Some((state, state.filters.get(filter.0)?))
    }

    fn connection_id(&self) -> Option<(ConnectionId, FilterIndex)> {
        match self.owner()? {
            Owner::Connection(id, filter) => Some((id, filter)),
            Owner::Root(_) | Owner::Stream(..) => None,
        }
    }

    /// Of the stream or the connection, where the effective context is one's.
    pub(in crate::proxy) fn filter_state_mut(&mut self) -> Option<&mut FilterState> {
        match self.owner()? {
            Owner::Connection(id, _) => Some(&mut self.core.connections.get_mut(&id)?.filter_state),
            Owner::Stream(id, _) => Some(&mut self.core.streams.get_mut(&id.downstream())?.filter_state),
            Owner::Root(_) => None,
        }
    }

    /// What the effective context's stream or connection was found to lack.
    pub(in crate::proxy) fn told_as_lacking(&mut self) -> Option<&mut BTreeSet<&'static str>> {
        match self.owner()? {
            Owner::Connection(id, _) => Some(&mut self.core.connections.get_mut(&id)?.lacking),
            Owner::Stream(id, _) => Some(&mut self.core.streams.get_mut(&id.downstream())?.lacking),
            Owner::Root(_) => None,
        }
    }

    /// What waits, for as long as the filter sees it.
    pub(in crate::proxy) fn tcp_buffer(&self, buffer: BufferType) -> Bytes {
        let Some((state, filter)) = self.connection() else {
            return Bytes::new();
        };
        match buffer {
            BufferType::DownstreamData if filter.sees_downstream => {
                Bytes::copy_from_slice(&state.downstream.buffer)
            }
            BufferType::UpstreamData if filter.sees_upstream => {
                Bytes::copy_from_slice(&state.upstream.buffer)
            }
            _ => Bytes::new(),
        }
    }

    /// As with bodies: the head can be replaced, and more appended; nothing in the middle.
    pub(in crate::proxy) fn set_tcp_buffer(
        &mut self,
        buffer: BufferType,
        start: usize,
        len: usize,
        data: &Bytes,
    ) -> CallResult {
        let (id, filter) = self.connection_id().ok_or(CallStatus::BadArgument)?;
        let state = self.core.connections.get_mut(&id).ok_or(CallStatus::BadArgument)?;
        let filter = state.filters.get(filter.0).ok_or(CallStatus::BadArgument)?;
        let (path, waiting) = match buffer {
            BufferType::DownstreamData if filter.sees_downstream => {
                (Path::Decode, &mut state.downstream.buffer)
            }
            BufferType::UpstreamData if filter.sees_upstream => (Path::Encode, &mut state.upstream.buffer),
            _ => return Err(CallStatus::BadArgument),
        };
        let edit = if start == 0 {
            let rest = waiting.split_off(len.min(waiting.len()));
            *waiting = BytesMut::from(&data[..]);
            waiting.extend_from_slice(&rest);
            if len == 0 { BodyEdit::Prepended } else { BodyEdit::Replaced }
        } else if start >= waiting.len() {
            waiting.extend_from_slice(data);
            BodyEdit::Appended
        } else {
            return Err(CallStatus::BadArgument);
        };
        self.note(What::Body { path, edit, bytes: data.len() });
        Ok(())
    }

    /// `continue_stream(downstream)`. Of the other direction Envoy has nothing to continue.
    pub(in crate::proxy) fn continue_connection(&mut self) {
        if let Some((connection, filter)) = self.connection_id() {
            self.core.effects.push_back(Effect::ContinueConnection { connection, filter });
            self.note(What::Resumed { path: Path::Decode });
        }
    }

    /// `close_stream`, of either side: the client's connection ends, and the upstream's with it.
    pub(in crate::proxy) fn close_own_connection(&mut self) {
        if let Some((connection, _)) = self.connection_id() {
            self.core.effects.push_back(Effect::CloseConnection { connection });
            self.note(What::Closed);
        }
    }
}
