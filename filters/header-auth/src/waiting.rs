//! Requests that wait for keys: how long, how many, and what of them is held.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use wayside_sdk::headers::{Headers, Request};
use wayside_sdk::{Host, Mode, Monotonic, RequestBody, RequestHeaders, Stream};

/// A request that waits looks this often whether there are keys.
const STEP: Duration = Duration::from_millis(20);

/// No more wait in one VM: strangers decide how many come.
const MOST: u32 = 1000;

/// What of a request is held meanwhile.
pub(crate) trait Held {
    fn stream(&self) -> &Stream;
    fn headers(&mut self) -> Option<&mut Headers<Request>>;
}

impl Held for RequestHeaders {
    fn stream(&self) -> &Stream {
        self.stream()
    }

    fn headers(&mut self) -> Option<&mut Headers<Request>> {
        Some(&mut self.headers)
    }
}

impl Held for RequestBody {
    fn stream(&self) -> &Stream {
        self.stream()
    }

    fn headers(&mut self) -> Option<&mut Headers<Request>> {
        self.headers()
    }
}

pub(crate) async fn a_moment(stream: &Stream) -> Host<()> {
    let next = stream.now()?.plus(STEP);
    stream.sleep_until(next).await
}

/// How long a request may still wait, from when it first had to.
#[derive(Debug)]
pub(crate) struct Patience {
    none: bool,
    until: Cell<Option<Monotonic>>,
}

impl Patience {
    pub(crate) fn none() -> Patience {
        Patience { none: true, until: Cell::new(None) }
    }

    /// A filter that only watches holds nobody up.
    pub(crate) fn new(mode: Mode) -> Patience {
        Patience { none: mode != Mode::Enforce, until: Cell::new(None) }
    }

    /// Whether it lasts, if it is to last that long from the beginning.
    pub(crate) fn lasts_for(&self, wait: Duration, stream: &Stream) -> bool {
        if let (None, Ok(now)) = (self.until.get(), stream.now()) {
            self.until.set(Some(now.plus(wait)));
        }
        self.lasts(stream)
    }

    pub(crate) fn lasts(&self, stream: &Stream) -> bool {
        !self.none && stream.now().is_ok_and(|now| self.until.get().is_some_and(|until| now < until))
    }
}

/// How many wait in this VM.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Rc<Cell<u32>>);

/// Of one that waits, until it does not.
#[derive(Debug)]
pub(crate) struct Place(Rc<Cell<u32>>);

impl Waiting {
    pub(crate) fn place(&self) -> Option<Place> {
        let count = self.0.get();
        (count < MOST).then(|| {
            self.0.set(count.saturating_add(1));
            Place(Rc::clone(&self.0))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_may_wait_and_who_leaves_makes_room() {
        let waiting = Waiting::default();
        let mut places: Vec<Place> = (0..MOST).filter_map(|_| waiting.place()).collect();
        assert_eq!(places.len(), 1000);
        assert!(waiting.place().is_none());
        places.pop();
        assert!(waiting.place().is_some());
    }
}
