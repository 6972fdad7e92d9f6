//! When a body that waits at a filter is too much, and when it no longer is (`source/common/buffer/watermark_buffer.cc`).

use bytes::Bytes;

use super::filter_manager::{FilterManager, Path};

/// The limits of one message's buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watermark {
    /// `None`: any number of bytes.
    pub(super) limit: Option<usize>,
    /// Too much stops the sender instead of failing the message.
    pub(super) with_back_pressure: bool,
    above: bool,
    blocks: bool,
}

impl Watermark {
    pub(super) fn new(limit: Option<usize>) -> Self {
        Watermark { limit, with_back_pressure: false, above: false, blocks: false }
    }

    /// `true`: with this many bytes it has just become too much.
    pub(super) fn rises_to(&mut self, bytes: usize) -> bool {
        let crosses = !self.above && self.limit.is_some_and(|limit| bytes > limit);
        self.above |= crosses;
        self.blocks |= crosses && self.with_back_pressure;
        crosses
    }

    /// The sender may go on once half the limit is free.
    pub(super) fn falls_to(&mut self, bytes: usize) {
        if self.limit.is_none_or(|limit| bytes <= limit / 2) {
            (self.above, self.blocks) = (false, false);
        }
    }

    pub(super) fn blocks(&self) -> bool {
        self.blocks
    }
}

impl FilterManager {
    /// A filter that buffers is to be shown all that waits with the new chunk behind it. `false`: that is too much.
    pub fn buffer_chunk(&mut self, path: Path) -> bool {
        self.message_mut(path).keep_chunk();
        self.kept(path, false);
        self.too_large.take().is_none()
    }

    /// Data has come to what waits, with back-pressure or within the limit.
    pub(super) fn kept(&mut self, path: Path, with_back_pressure: bool) {
        let waiting = self.message(path).waiting.as_ref().map_or(0, Bytes::len);
        let buffer = &mut self.buffers[path as usize];
        buffer.with_back_pressure = with_back_pressure;
        if buffer.rises_to(waiting) && !with_back_pressure {
            self.too_large = Some(path);
        }
    }

    /// What waited may be gone.
    pub(super) fn drained(&mut self, path: Path) {
        let waiting = self.message(path).waiting.as_ref().map_or(0, Bytes::len);
        self.buffers[path as usize].falls_to(waiting);
    }

    /// Another limit for both ways.
    pub fn set_buffer_limit(&mut self, limit: Option<usize>) {
        for buffer in &mut self.buffers {
            buffer.limit = limit;
        }
    }

    pub fn buffer_limit(&self) -> Option<usize> {
        self.buffers[Path::Decode as usize].limit
    }

    /// Whether a sender waits because a filter holds more than the limit.
    pub fn holds_back(&self, path: Path) -> bool {
        self.buffers[path as usize].blocks()
    }

    /// A filter may have written to what waits.
    pub(super) fn grown(&mut self, path: Path) {
        let with_back_pressure = self.buffers[path as usize].with_back_pressure;
        self.kept(path, with_back_pressure);
    }
}
