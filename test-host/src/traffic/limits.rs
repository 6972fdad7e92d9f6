//! How much memory reading a recording may take.

use std::{fmt, path::Path};

use super::{TrafficError, record::Place};

/// Most header fields in one block; a record with more is left out. Envoy itself refuses more than 100 by default.
pub(super) const MAX_HEADERS: usize = 16_384;

/// Counted for every header, chunk and note beside its bytes: what the bookkeeping of it takes at most.
pub(super) const ENTRY_OVERHEAD: u64 = 96;
/// The same for an exchange with its notes, but for the file's name, which each note has.
const EXCHANGE_OVERHEAD: u64 = 2048;
/// Notes that an exchange can have.
const EXCHANGE_NOTES: u64 = 16;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

impl ByteSize {
    pub const fn kib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 10))
    }

    pub const fn mib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 20))
    }

    pub const fn gib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 30))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{} {name}", self.0 / unit);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

/// Bounds on what [`load`](super::load) keeps.
///
/// Files are read through a buffer, one record at a time. The peak is `total_bytes` for what is kept, and about four
/// times `record_bytes` for the record in hand: its text, that buffer's growth, and its decoded fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Body of one request or response. What is longer is cut, with a note that says how much of how much was kept.
    pub body_bytes: ByteSize,
    /// One record as it stands in the file: a JSON object, or a protobuf message. A longer one is read past and
    /// noted. A body in JSON takes four bytes for three.
    pub record_bytes: ByteSize,
    /// Everything kept, bookkeeping included. More is an error.
    pub total_bytes: ByteSize,
    /// Number of exchanges. More is an error.
    pub exchanges: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: ByteSize::mib(16),
            record_bytes: ByteSize::mib(64),
            total_bytes: ByteSize::gib(1),
            exchanges: 1_000_000,
        }
    }
}

/// What is left of `total_bytes` and `exchanges`.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    bytes: u64,
    exchanges: u32,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { limits: *limits, bytes: limits.total_bytes.0, exchanges: limits.exchanges }
    }

    pub(super) fn body_bytes(&self) -> ByteSize {
        self.limits.body_bytes
    }

    /// Takes `bytes`, before they are kept.
    pub(super) fn take(&mut self, bytes: u64, file: &Path, at: Place) -> Result<(), TrafficError> {
        let Some(left) = self.bytes.checked_sub(bytes) else {
            return Err(TrafficError::TooLarge { place: at.in_file(file), limit: self.limits.total_bytes });
        };
        self.bytes = left;
        Ok(())
    }

    pub(super) fn take_exchange(&mut self, file: &Path, at: Place) -> Result<(), TrafficError> {
        let Some(left) = self.exchanges.checked_sub(1) else {
            return Err(TrafficError::TooMany { place: at.in_file(file), limit: self.limits.exchanges });
        };
        self.exchanges = left;
        let names = (file.as_os_str().len() as u64).saturating_mul(EXCHANGE_NOTES);
        self.take(EXCHANGE_OVERHEAD.saturating_add(names), file, at)
    }
}
