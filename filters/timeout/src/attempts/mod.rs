//! The filter in a cluster's upstream chain, once for each attempt: what an upstream is told is what is left *then*.
//!
//! Envoy does so for `x-envoy-expected-rq-timeout-ms` alone. In both chains the same configuration serves, and no hostcall more is made for a
//! request of which there are no attempts to be seen: a stream is asked where it stands only if its headers may be those of a request
//! that this VM has seen before.

use crate::deadline::Clocks;
use crate::forms;
use crate::source::{EXPECTED, Said, Source, Sources, Speaks};
use crate::upstream::{Edit, TOLD, text};
use std::cell::Cell;
use std::time::Duration;
use wayside_sdk::{HeaderBlock, Host, Monotonic, Name, RequestHeaders, Stream, name, property, vm_local};

const REQUEST_ID: Name = name!("x-request-id");
/// Of Envoy's filter state, which both chains share and no client writes.
const KEY: &str = "l7_timeout_deadline";

vm_local! {
    static LIVE: Ids = const { Ids([const { Cell::new(0) }; BUCKETS]) };
    /// Whether this VM has seen an attempt: then requests leave word of their deadline for theirs.
    static COMPANION: Cell<bool> = const { Cell::new(false) };
}

const BUCKETS: usize = 256;

/// How many live requests of this VM have an id that falls there. Of fixed size: that an attempt is among them is certain, and that a stranger
/// is costs a look at where it stands.
struct Ids([Cell<u32>; BUCKETS]);

/// A live request, for as long as it is kept.
#[derive(Debug)]
pub struct Seen(usize);

/// By the last two digits: Envoy's ids are random ones.
fn bucket(headers: &HeaderBlock) -> usize {
    match headers.first(REQUEST_ID).unwrap_or_default() {
        [.., one, other] => usize::from((one & 15) << 4 | other & 15),
        _ => 0,
    }
}

fn count(bucket: usize, change: impl FnOnce(u32) -> u32) -> u32 {
    LIVE.with(|Ids(counts)| {
        let Some(count) = counts.get(bucket) else { return 0 };
        count.set(change(count.get()));
        count.get()
    })
}

impl Seen {
    fn new(bucket: usize) -> Seen {
        count(bucket, |count| count.saturating_add(1));
        Seen(bucket)
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        count(self.0, |count| count.saturating_sub(1));
    }
}

/// `None` if the stream stands in an upstream chain; otherwise streams with its id may from now on be its attempts. The router marks what it sends with the time it gives it, unless that is without
/// end or the mark is not wanted, and keeps the request's id.
pub fn request(request: &RequestHeaders, headers: &HeaderBlock) -> Host<Option<Seen>> {
    let bucket = bucket(headers);
    let may_be_one = count(bucket, |count| count) > 0 || headers.first(EXPECTED).is_some();
    if may_be_one && request.attempt()?.is_some() {
        COMPANION.set(true);
        return Ok(None);
    }
    Ok(Some(Seen::new(bucket)))
}

/// What a request's attempts are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    pub deadline: Monotonic,
    /// In which headers the upstream is told of it.
    pub propagate: Sources,
}

impl Word {
    /// Leaves it for the attempts, if there may be any to read it: one hostcall, or none.
    pub fn leave(self, stream: &Stream) -> Host<()> {
        if !COMPANION.get() {
            return Ok(());
        }
        let [a, b, c, d, e, f, g, h] = self.deadline.nanos_since_start().to_le_bytes();
        let [i, j] = self.propagate.bits().to_le_bytes();
        stream.publish(KEY, &[a, b, c, d, e, f, g, h, i, j])
    }

    /// What the listener's filter left; `None` of the first requests that had attempts, and where it is not there or in another mode.
    pub fn of(request: &RequestHeaders) -> Host<Option<Word>> {
        let told = request.stream().get(&property::custom(KEY))?;
        Ok(told.as_deref().and_then(Word::read))
    }

    fn read(told: &[u8]) -> Option<Word> {
        let (deadline, propagate) = told.split_first_chunk()?;
        let deadline = Monotonic::at(Duration::from_nanos(u64::from_le_bytes(*deadline)));
        let propagate = Sources::of_bits(u16::from_le_bytes(propagate.try_into().ok()?));
        Some(Word { deadline, propagate })
    }
}

/// What an attempt has left: until the request's deadline, and no longer than the router gives this attempt.
#[must_use]
pub fn left(deadline: Option<Monotonic>, headers: &HeaderBlock, now: Monotonic) -> Option<Duration> {
    let router = headers.all(EXPECTED).filter_map(forms::millis).filter(|left| !left.is_zero()).min();
    [deadline.map(|deadline| deadline.since(now)), router].into_iter().flatten().min()
}

/// What is shorter now than the headers say. What they do not say is not said: the listener's filter or somebody after it
/// left it out. A point in time stays what it was.
#[must_use]
pub fn edits(propagate: Sources, headers: &HeaderBlock, speaks: Speaks, left: Duration) -> Vec<Edit> {
    let shorter = |(source, name): (Source, Name)| {
        let told = propagate.contains(source) && speaks.has(source) && source != Source::RequestDeadline;
        let said = told.then(|| headers.all(name).map(|value| source.parse(value)).min()).flatten()?;
        if matches!(said, Some(Said::Allowance(said)) if said <= left) {
            return None;
        }
        Some(match text(source, left, None, Clocks::default()) {
            Some(text) => Edit::Set(name, text),
            None => Edit::Remove(name),
        })
    };
    TOLD.into_iter().filter_map(shorter).collect()
}

#[cfg(test)]
mod tests;
