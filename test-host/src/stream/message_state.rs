//! A request or a response while it passes the chain: what has arrived, what waits, what a filter is being shown.

use bytes::{Bytes, BytesMut};

use crate::message::HeaderMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageState {
    /// `None` until they arrive. Filters edit them in place.
    pub headers: Option<HeaderMap>,
    /// `None` until they arrive, or where there are none.
    pub trailers: Option<HeaderMap>,
    /// The body data that a filter is being shown right now.
    pub(super) chunk: Option<Bytes>,
    /// Body data that waits at a filter that stopped. Present but empty: an empty end of stream waits.
    pub(super) waiting: Option<Bytes>,
    /// Body bytes that have arrived.
    pub bytes_received: u64,
    /// The end has arrived; filters may not have been shown it yet.
    pub complete: bool,
}

impl MessageState {
    /// The data being shown to a filter.
    pub fn chunk(&self) -> Option<&Bytes> {
        self.chunk.as_ref()
    }

    /// The data kept from earlier callbacks.
    pub fn waiting(&self) -> Option<&Bytes> {
        self.waiting.as_ref()
    }

    pub fn set_chunk(&mut self, data: Bytes) {
        self.chunk = Some(data);
    }

    pub fn set_waiting(&mut self, data: Bytes) {
        self.waiting = Some(data);
    }

    /// Moves the data being shown behind the data kept: what follows is shown together with it.
    pub(super) fn keep_chunk(&mut self) {
        let chunk = self.chunk.replace(Bytes::new()).unwrap_or_default();
        self.keep(chunk);
    }

    pub(super) fn keep(&mut self, data: Bytes) {
        self.waiting = Some(match self.waiting.take() {
            Some(kept) if kept.is_empty() => data,
            Some(kept) if data.is_empty() => kept,
            Some(kept) => appended(kept, &data),
            None => data,
        });
    }
}

/// In place where nobody else holds the bytes: a body of many chunks is not copied with each of them.
fn appended(kept: Bytes, data: &[u8]) -> Bytes {
    let mut all = kept.try_into_mut().unwrap_or_else(|kept| BytesMut::from(&kept[..]));
    all.extend_from_slice(data);
    all.freeze()
}
