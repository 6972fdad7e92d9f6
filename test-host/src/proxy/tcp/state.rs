//! One TCP connection through a chain of network filters: what waits in it, and what has become of it.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};

use crate::{
    abi::ContextId,
    message::{RecordedConnection, TcpEvent},
    proxy::{core::PluginIndex, filter_state::FilterState},
    trace::{FilterNumber, Thread, Trace, Usage},
};

/// A connection's number within its proxy: that in the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub(crate) usize);

/// A network filter's context for one connection.
#[derive(Debug, Default)]
pub(crate) struct NetworkFilter {
    pub(crate) context: Option<ContextId>,
    /// Of the VM when the connection began.
    pub(crate) generation: u32,
    /// The connection does without it.
    pub(crate) passed_by: bool,
    /// `on_new_connection` has been called.
    pub(crate) initialized: bool,
    /// What it stopped at stays in sight; what it let go does not.
    pub(crate) sees_downstream: bool,
    pub(crate) sees_upstream: bool,
    pub(crate) usage: Usage,
}

/// How a connection ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TcpEnd {
    /// The proxy closed it.
    Local,
    /// The client closed it.
    Remote,
    /// It was open when nothing more could happen.
    Open,
}

impl TcpEnd {
    /// What `on_downstream_connection_close` is told. A proxy that is stopped closes what is open.
    pub(crate) fn number(self) -> u32 {
        match self {
            TcpEnd::Local | TcpEnd::Open => 1,
            TcpEnd::Remote => 2,
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    /// Read and not yet let go by all filters.
    pub(crate) buffer: BytesMut,
    /// The sender has ended.
    pub(crate) ended: bool,
    /// The end has passed all filters.
    pub(crate) end_forwarded: bool,
    /// What has passed all filters, piece by piece.
    pub(crate) forwarded: Vec<Bytes>,
    /// What the sender did and nobody has read yet.
    pub(crate) unread: VecDeque<TcpEvent>,
}

#[derive(Debug)]
pub(crate) struct TcpState {
    pub(crate) recorded: RecordedConnection,
    /// The listener's place in the specification.
    pub(crate) listener: usize,
    /// The worker it is on.
    pub(crate) thread: Thread,
    pub(crate) chain: Arc<[PluginIndex]>,
    /// The number of the chain's first filter.
    pub(crate) first_filter: usize,
    /// In the order of the chain.
    pub(crate) filters: Vec<NetworkFilter>,
    pub(crate) started: Duration,
    pub(crate) connected: bool,
    pub(crate) downstream: Direction,
    pub(crate) upstream: Direction,
    /// As Envoy counts: what waits at a filter is counted again with each read.
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) filter_state: FilterState,
    pub(crate) response_flags: u64,
    pub(crate) lacking: BTreeSet<&'static str>,
    pub(crate) end: Option<TcpEnd>,
    pub(crate) trace: Trace,
}

impl TcpState {
    pub(crate) fn new(
        recorded: RecordedConnection,
        listener: usize,
        (thread, chain, first_filter): (Thread, Arc<[PluginIndex]>, usize),
        started: Duration,
    ) -> Self {
        let filters = std::iter::repeat_with(NetworkFilter::default).take(chain.len()).collect();
        TcpState {
            recorded,
            listener,
            thread,
            chain,
            first_filter,
            filters,
            started,
            connected: false,
            downstream: Direction::default(),
            upstream: Direction::default(),
            bytes_received: 0,
            bytes_sent: 0,
            filter_state: FilterState::default(),
            response_flags: 0,
            lacking: BTreeSet::new(),
            end: None,
            trace: Trace::default(),
        }
    }

    /// What the tcp_proxy at the chain's end takes off: all that waits.
    pub(crate) fn send_upstream(&mut self) {
        forward(&mut self.downstream);
    }

    pub(crate) fn send_downstream(&mut self) {
        self.bytes_sent += self.upstream.buffer.len() as u64;
        forward(&mut self.upstream);
    }
}

fn forward(direction: &mut Direction) {
    if !direction.buffer.is_empty() {
        direction.forwarded.push(direction.buffer.split().freeze());
    }
    direction.end_forwarded |= direction.ended;
}

/// One connection, after its replay.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpOutcome {
    /// The number it was begun with.
    pub number: usize,
    /// The worker it was on.
    pub thread: Thread,
    pub recorded: RecordedConnection,
    /// The listener that took it.
    pub listener: String,
    pub started: Duration,
    pub ended: Duration,
    /// What went to the upstream, piece by piece; nothing where there was no connection to it.
    pub upstream: Vec<Bytes>,
    /// The client's end was passed on.
    pub upstream_ended: bool,
    /// There was a connection to the upstream.
    pub connected: bool,
    /// What went to the client.
    pub downstream: Vec<Bytes>,
    /// The upstream's end was passed on.
    pub downstream_ended: bool,
    pub end: TcpEnd,
    pub trace: Trace,
    /// What each filter of the chain cost.
    pub usage: Vec<(FilterNumber, Usage)>,
}

impl TcpOutcome {
    pub(super) fn of(id: ConnectionId, state: TcpState, listener: String, ended: Duration) -> Self {
        let usage = (state.first_filter..)
            .map(FilterNumber)
            .zip(state.filters.iter().map(|filter| filter.usage.clone()));
        TcpOutcome {
            number: id.0,
            thread: state.thread,
            usage: usage.collect(),
            recorded: state.recorded,
            listener,
            started: state.started,
            ended,
            upstream: state.downstream.forwarded,
            upstream_ended: state.downstream.end_forwarded,
            connected: state.connected,
            downstream: state.upstream.forwarded,
            downstream_ended: state.upstream.end_forwarded,
            end: state.end.unwrap_or(TcpEnd::Open),
            trace: state.trace,
        }
    }
}
