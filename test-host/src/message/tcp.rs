//! A recorded TCP connection: what its two ends sent, and when.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Connection, Note, Origin};

/// Which end of a proxied connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// Downstream: who connected to the proxy.
    Client,
    /// Upstream: whom the proxy connects to.
    Server,
}

/// What one end did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpEvent {
    /// Bytes, as one read brings them.
    Data(Bytes),
    /// It will send no more, and still receives.
    End,
    /// The connection is gone at once.
    Reset,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpStep {
    /// After the connection's beginning.
    pub at: Duration,
    pub from: Peer,
    pub event: TcpEvent,
}

/// A TCP connection through a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedConnection {
    pub proxy: Arc<str>,
    /// Counted from 1 within the proxy.
    pub number: u32,
    pub origin: Origin,
    /// The listener it came to; `None`: the first that proxies TCP.
    pub listener: Option<String>,
    /// When it began, since the Unix epoch.
    pub began: Option<Duration>,
    pub connection: Connection,
    /// Nobody answered at the upstream's address.
    pub refused: bool,
    /// In the order of their times.
    pub steps: Vec<TcpStep>,
    /// What the recording lacks.
    pub notes: Vec<Note>,
}

impl RecordedConnection {
    /// How many bytes one end sent.
    pub fn bytes_of(&self, peer: Peer) -> u64 {
        self.pieces_of(peer).map(|data| data.len() as u64).sum()
    }

    /// What one end sent, piece by piece.
    pub fn pieces_of(&self, peer: Peer) -> impl Iterator<Item = &Bytes> {
        self.steps.iter().filter(move |step| step.from == peer).filter_map(|step| match &step.event {
            TcpEvent::Data(data) => Some(data),
            TcpEvent::End | TcpEvent::Reset => None,
        })
    }

    /// Whether it is over in the recording: one end is gone, or both have ended.
    pub fn is_over(&self) -> bool {
        let ended = |peer| self.steps.iter().any(|step| step.from == peer && step.event == TcpEvent::End);
        let gone = self.steps.iter().any(|step| step.event == TcpEvent::Reset);
        gone || ended(Peer::Client) && ended(Peer::Server)
    }
}

impl RecordedConnection {
    /// What no other of its recording is called.
    pub(crate) fn name(&self) -> String {
        format!("{}/tcp/{}", self.proxy, self.number)
    }
}
