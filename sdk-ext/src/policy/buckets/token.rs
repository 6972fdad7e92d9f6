//! The token bucket: what it holds, and when that was.

use super::{Limit, Verdict, nanos};
use crate::shared::Wire;
use crate::time::Monotonic;

/// Fills with time up to the burst. A `now` before one it has seen counts as that one: nothing is refilled twice.
/// As a record of [`Shared`](crate::Shared) it takes 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    /// In the limit's parts of a token.
    held: u128,
    /// Nanoseconds on the proxy's clock
    at: u64,
}

impl TokenBucket {
    #[must_use]
    pub fn full(limit: &Limit, now: Monotonic) -> TokenBucket {
        TokenBucket { held: limit.capacity(), at: nanos(now) }
    }

    #[must_use]
    pub fn empty(now: Monotonic) -> TokenBucket {
        TokenBucket { held: 0, at: nanos(now) }
    }

    /// Takes `tokens`, all of them or none.
    pub fn take(&mut self, limit: &Limit, now: Monotonic, tokens: u32) -> Verdict {
        self.refill(limit, now);
        let (verdict, held) = limit.judge(self.held, tokens);
        self.held = held;
        verdict
    }

    /// Puts back what was taken and not used; what does not fit is lost.
    pub fn put_back(&mut self, limit: &Limit, now: Monotonic, tokens: u32) {
        self.refill(limit, now);
        self.held = self.held.saturating_add(limit.parts(tokens)).min(limit.capacity());
    }

    /// Whole tokens at `now`; takes nothing.
    #[must_use]
    pub fn left(mut self, limit: &Limit, now: Monotonic) -> u32 {
        self.refill(limit, now);
        limit.whole(self.held)
    }

    fn refill(&mut self, limit: &Limit, now: Monotonic) {
        let now = nanos(now);
        let brought = limit.parts_in(now.saturating_sub(self.at));
        self.held = self.held.saturating_add(brought).min(limit.capacity());
        self.at = self.at.max(now);
    }
}

impl Wire for TokenBucket {
    const LAYOUT: u16 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.held.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<TokenBucket> {
        let (held, at) = bytes.split_first_chunk::<16>()?;
        let at = u64::from_le_bytes(at.try_into().ok()?);
        Some(TokenBucket { held: u128::from_le_bytes(*held), at })
    }
}
