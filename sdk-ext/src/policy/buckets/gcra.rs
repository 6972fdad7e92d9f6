//! The generic cell rate algorithm: the moment at which the bucket would be full is all there is to remember.

use super::{Limit, Verdict, nanos};
use crate::shared::Wire;
use crate::time::Monotonic;

/// A token bucket in one number: the time at which it is full, in parts of a nanosecond of which the limit's `tokens` make one.
/// All zero is a full bucket, so a record that nobody wrote needs no special case.
///
/// It decides as [`TokenBucket`](super::TokenBucket) does as long as `now` does not step back. When it does, this one does not
/// know: until the clock has caught up it holds that much less, and never less than nothing. Neither ever gives more than the
/// burst and what time brought. A limit that changes turns what was used into as much time of the new limit, not as many tokens.
/// As a record of [`Shared`](crate::Shared) it takes 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gcra {
    full_at: u128,
}

impl Gcra {
    #[must_use]
    pub fn full() -> Gcra {
        Gcra::default()
    }

    #[must_use]
    pub fn empty(limit: &Limit, now: Monotonic) -> Gcra {
        Gcra { full_at: limit.parts_in(nanos(now)).saturating_add(limit.capacity()) }
    }

    /// Takes `tokens`, all of them or none.
    pub fn take(&mut self, limit: &Limit, now: Monotonic, tokens: u32) -> Verdict {
        let (verdict, held) = limit.judge(self.held(limit, now), tokens);
        if verdict.is_allowed() && tokens > 0 {
            self.hold(limit, now, held);
        }
        verdict
    }

    /// Puts back what was taken and not used; what does not fit is lost.
    pub fn put_back(&mut self, limit: &Limit, now: Monotonic, tokens: u32) {
        let held = self.held(limit, now).saturating_add(limit.parts(tokens));
        self.hold(limit, now, held.min(limit.capacity()));
    }

    /// Whole tokens at `now`; takes nothing.
    #[must_use]
    pub fn left(self, limit: &Limit, now: Monotonic) -> u32 {
        limit.whole(self.held(limit, now))
    }

    fn held(self, limit: &Limit, now: Monotonic) -> u128 {
        let lacking = self.full_at.saturating_sub(limit.parts_in(nanos(now)));
        limit.capacity().saturating_sub(lacking)
    }

    fn hold(&mut self, limit: &Limit, now: Monotonic, held: u128) {
        let lacking = limit.capacity().saturating_sub(held);
        self.full_at = limit.parts_in(nanos(now)).saturating_add(lacking);
    }
}

impl Wire for Gcra {
    const LAYOUT: u16 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.full_at.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Gcra> {
        Some(Gcra { full_at: u128::from_le_bytes(bytes.try_into().ok()?) })
    }
}
