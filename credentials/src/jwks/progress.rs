//! What all workers know of the fetches of one key set: a record that each changes by compare-and-swap.

use super::terms::{Jitter, Terms, Uptime};
use std::time::Duration;

/// How far the fetching of a key set is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The serial of the fetch that brought the document; 0 while there is none.
    pub version: u64,
    /// When the last fetch began that brought it or found it unchanged.
    pub confirmed: Uptime,
    /// Of the fetch that began last; 0 before the first.
    serial: u64,
    began: Uptime,
    /// That fetch is under way until then; zero once its end is known.
    pending_until: Uptime,
    /// Fetches without a good answer since the last good one, the one under way included.
    failures: u32,
    due: Uptime,
}

/// A fetch that was claimed. Its serial tells it from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub(super) serial: u64,
    began: Uptime,
}

/// Whether a fetch may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is this worker's, once the record is written.
    Fetch(Fetch, Progress),
    /// Somebody else's is not over.
    UnderWay,
    NotYet,
}

impl Progress {
    const BYTES: usize = 52;

    /// Whether the document may still be used.
    #[must_use]
    pub fn is_good(&self, terms: &Terms, now: Uptime) -> bool {
        self.version > 0 && now < terms.good_until(self.confirmed)
    }

    /// When the next fetch is due without anybody asking.
    #[must_use]
    pub fn due(&self) -> Uptime {
        self.due
    }

    /// Nobody asked: the start, a refresh, or another try after a failure.
    #[must_use]
    pub fn on_schedule(self, terms: &Terms, now: Uptime) -> Begun {
        self.begin(terms, now, now >= self.due)
    }

    /// A request needs a key that is not there.
    #[must_use]
    pub fn on_demand(self, terms: &Terms, now: Uptime) -> Begun {
        let rested = self.serial == 0 || now >= self.began.plus(terms.min_refetch);
        self.begin(terms, now, rested || now >= self.due)
    }

    fn begin(self, terms: &Terms, now: Uptime, may: bool) -> Begun {
        if now < self.pending_until {
            return Begun::UnderWay;
        }
        if !may {
            return Begun::NotYet;
        }
        let fetch = Fetch { serial: self.serial.saturating_add(1), began: now };
        // Until there is an answer this one has failed: a worker that dies leaves nothing to clear up.
        let given_up = terms.given_up(now);
        let claimed = Progress {
            serial: fetch.serial,
            began: now,
            pending_until: given_up,
            failures: self.failures.saturating_add(1),
            ..self
        };
        Begun::Fetch(fetch, claimed.tried_again_after(terms, given_up))
    }

    /// While there are keys, nothing is so urgent that the provider is asked twice in `min_refetch`.
    fn tried_again_after(self, terms: &Terms, end: Uptime) -> Progress {
        let paused = end.plus(Terms::pause(self.failures));
        let due = match self.is_good(terms, end) {
            true => paused.max(self.began.plus(terms.min_refetch)),
            false => paused,
        };
        Progress { due, ..self }
    }

    /// This fetch brought the document that now has this version. `None` when a later one has told already.
    #[must_use]
    pub fn succeeded(self, fetch: Fetch, version: u64, terms: &Terms, jitter: Jitter) -> Option<Progress> {
        if self.confirmed > fetch.began || self.version > version {
            return None;
        }
        let told = Progress { version, confirmed: fetch.began, ..self };
        // Another fetch may have begun since: its end is its own to tell.
        Some(match self.serial == fetch.serial {
            true => Progress {
                pending_until: Uptime::default(),
                failures: 0,
                due: fetch.began.plus(jitter.shorten(terms.refresh).max(terms.min_refetch)),
                ..told
            },
            false => Progress { due: self.due.max(self.began.plus(terms.min_refetch)), ..told },
        })
    }

    /// `None` when the fetch was given up before.
    #[must_use]
    pub fn failed(self, fetch: Fetch, terms: &Terms, now: Uptime) -> Option<Progress> {
        let is_pending = self.serial == fetch.serial && self.pending_until > Uptime::default();
        is_pending
            .then(|| Progress { pending_until: Uptime::default(), ..self }.tried_again_after(terms, now))
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.version, self.serial] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for Uptime(time) in [self.confirmed, self.began, self.pending_until, self.due] {
            out.extend_from_slice(&u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).to_le_bytes());
        }
        out.extend_from_slice(&self.failures.to_le_bytes());
    }

    /// `None` for bytes that no `encode` wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Progress> {
        let bytes: &[u8; Progress::BYTES] = bytes.try_into().ok()?;
        let (numbers, failures) = bytes.split_last_chunk::<4>()?;
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
        let (version, serial) = (numbers.next()?, numbers.next()?);
        let mut time = || numbers.next().map(Duration::from_nanos).map(Uptime);
        Some(Progress {
            version,
            serial,
            confirmed: time()?,
            began: time()?,
            pending_until: time()?,
            due: time()?,
            failures: u32::from_le_bytes(*failures),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_no_other_bytes_are() {
        let record = Progress {
            version: 1,
            confirmed: at(2),
            serial: 3,
            began: at(4),
            pending_until: at(5),
            failures: 6,
            due: at(7),
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Progress::decode(&bytes), Some(record));
        for cut in 0..bytes.len() {
            assert_eq!(Progress::decode(&bytes[..cut]), None);
        }
        bytes.push(0);
        assert_eq!(Progress::decode(&bytes), None);
    }

    const TERMS: Terms = Terms {
        refresh: Duration::from_secs(600),
        min_refetch: Duration::from_secs(30),
        timeout: Duration::from_secs(2),
        stale_if_error: Duration::from_secs(3600),
    };

    fn at(seconds: u64) -> Uptime {
        Uptime(Duration::from_secs(seconds))
    }

    fn begun(progress: Progress, now: Uptime) -> (Fetch, Progress) {
        match progress.on_schedule(&TERMS, now) {
            Begun::Fetch(fetch, claimed) => (fetch, claimed),
            refused => panic!("{refused:?}"),
        }
    }

    /// A first fetch that was given up, and a second one under way.
    fn two() -> (Fetch, Fetch, Progress) {
        let (slow, progress) = begun(Progress::default(), at(1));
        let (second, progress) = begun(progress, at(5));
        (slow, second, progress)
    }

    #[test]
    fn a_late_failure_does_not_end_the_fetch_that_came_after_it() {
        let (slow, second, progress) = two();
        assert_eq!(progress.failed(slow, &TERMS, at(6)), None);
        assert_eq!(progress.on_demand(&TERMS, at(7)), Begun::UnderWay);
        let progress = progress.failed(second, &TERMS, at(7)).expect("its own end");
        assert_eq!(progress.failed(second, &TERMS, at(8)), None, "told twice");
    }

    #[test]
    fn a_late_success_counts_but_takes_nothing_back() {
        let (slow, second, progress) = two();
        let late = progress.succeeded(slow, 1, &TERMS, Jitter(0)).expect("keys are keys");
        assert_eq!((late.version, late.confirmed), (1, at(1)));
        assert_eq!(late.on_schedule(&TERMS, at(6)), Begun::UnderWay, "the second is not over");
        let newer = progress.succeeded(second, 2, &TERMS, Jitter(0)).expect("its own end");
        assert_eq!(newer.succeeded(slow, 1, &TERMS, Jitter(0)), None);
        assert_eq!(newer.succeeded(slow, 2, &TERMS, Jitter(0)), None, "unchanged since, but it is older");
    }
}
