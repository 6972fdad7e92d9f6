//! One worker's part: the keys it holds, and what it does when a tick, a request or an answer comes.

use super::answer::{Answer, Flaw};
use super::progress::{Begun, Fetch, Progress};
use super::terms::{Jitter, Terms, Uptime};
use crate::jose::KeySet;
use std::rc::Rc;

/// Keys read from a provider's document.
pub trait Keys: Sized {
    /// `None` for what is no key set, or one in which no key can be used.
    fn read(document: &[u8]) -> Option<Self>;

    /// How many there are.
    fn usable(&self) -> usize;

    /// How many more the document has that cannot be used.
    fn skipped(&self) -> usize;
}

impl Keys for KeySet {
    fn read(document: &[u8]) -> Option<KeySet> {
        KeySet::parse(document).ok()
    }

    fn usable(&self) -> usize {
        self.keys().count()
    }

    fn skipped(&self) -> usize {
        KeySet::skipped(self)
    }
}

/// What the provider said, with the serial of the fetch that brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub version: u64,
    pub bytes: Vec<u8>,
}

/// The two records that the workers of a proxy share.
pub trait Board {
    type Error;

    /// # Errors
    /// The board cannot be read.
    fn progress(&self) -> Result<Option<Progress>, Self::Error>;

    /// Shows `change` the record as it is and writes what comes of that, again and again until nobody wrote in between.
    /// Whether something was to be written.
    ///
    /// # Errors
    /// The board cannot be changed, and was not.
    fn change(&self, change: &mut dyn FnMut(Progress) -> Option<Progress>) -> Result<bool, Self::Error>;

    /// # Errors
    /// The board cannot be read.
    fn document(&self) -> Result<Option<Document>, Self::Error>;

    /// Writes it unless there is a newer one, and keeps the version of one with the same bytes. The version it has then.
    ///
    /// # Errors
    /// The board cannot be changed, and was not.
    fn publish(&self, document: &Document) -> Result<u64, Self::Error>;
}

/// One worker's view of a key set.
#[derive(Debug)]
pub struct Worker<K> {
    terms: Terms,
    version: u64,
    keys: Option<Rc<K>>,
    good_until: Uptime,
}

/// What a look at the board came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The keys are not those of before: whatever was concluded from those is void.
    pub changed: bool,
    /// A fetch that is this worker's to send.
    pub fetch: Option<Fetch>,
}

/// What becomes of a request that needs a key which is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// There are other keys now: look again.
    Changed,
    /// Keys may be coming; this fetch is to be sent.
    Fetch(Fetch),
    /// Keys may be coming.
    UnderWay,
    /// There are none at all, and the next fetch is due then.
    Later(Uptime),
    /// There is no such key.
    No,
}

impl<K: Keys> Worker<K> {
    #[must_use]
    pub fn new(terms: Terms) -> Worker<K> {
        Worker { terms, version: 0, keys: None, good_until: Uptime::default() }
    }

    /// `None` when there never were any, or the last ones are too old.
    #[must_use]
    pub fn keys(&self) -> Option<&Rc<K>> {
        self.keys.as_ref()
    }

    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// To be done on every tick: takes over what others fetched, drops what is too old, and claims a fetch that is due.
    ///
    /// # Errors
    /// What the board answered. Keys that are too old are gone all the same.
    pub fn look<B: Board>(&mut self, board: &B, now: Uptime) -> Result<Looked, B::Error> {
        let expired = self.expire(now);
        let progress = board.progress()?.unwrap_or_default();
        let changed = self.follow(board, &progress, now)?;
        let fetch = match progress.on_schedule(&self.terms, now) {
            Begun::Fetch(..) => claim(board, |progress| progress.on_schedule(&self.terms, now))?.ok(),
            Begun::UnderWay | Begun::NotYet => None,
        };
        Ok(Looked { changed: expired || changed, fetch })
    }

    /// A request needs a key that is not among those held.
    ///
    /// # Errors
    /// What the board answered.
    pub fn want<B: Board>(&mut self, board: &B, now: Uptime) -> Result<Wanted, B::Error> {
        let expired = self.expire(now);
        let progress = board.progress()?.unwrap_or_default();
        if self.follow(board, &progress, now)? || expired {
            return Ok(Wanted::Changed);
        }
        match progress.on_demand(&self.terms, now) {
            Begun::NotYet if self.keys.is_none() => return Ok(Wanted::Later(progress.due())),
            Begun::NotYet => return Ok(Wanted::No),
            Begun::UnderWay => return Ok(Wanted::UnderWay),
            Begun::Fetch(..) => {}
        }
        Ok(match claim(board, |progress| progress.on_demand(&self.terms, now))? {
            Ok(fetch) => Wanted::Fetch(fetch),
            Err(Begun::UnderWay) => Wanted::UnderWay,
            Err(_) => Wanted::No,
        })
    }

    /// The answer to a fetch that this worker sent. What is wrong with it, if anything is; others find what is good with their
    /// next look, and so does this one.
    ///
    /// # Errors
    /// What the board answered. The fetch then counts as failed.
    pub fn answered<B: Board>(
        &mut self,
        board: &B,
        fetch: Fetch,
        answer: Answer<'_>,
        now: Uptime,
        jitter: Jitter,
    ) -> Result<Result<K, Flaw>, B::Error> {
        let (bytes, keys) = match answer.judge::<K>() {
            Ok(good) => good,
            Err(flaw) => {
                board.change(&mut |progress| progress.failed(fetch, &self.terms, now))?;
                return Ok(Err(flaw));
            }
        };
        let version = board.publish(&Document { version: fetch.serial, bytes: bytes.to_vec() })?;
        board.change(&mut |progress| progress.succeeded(fetch, version, &self.terms, jitter))?;
        Ok(Ok(keys))
    }

    fn expire(&mut self, now: Uptime) -> bool {
        now >= self.good_until && self.keys.take().is_some()
    }

    /// Holds what the board has. Whether that is something else than before.
    fn follow<B: Board>(&mut self, board: &B, progress: &Progress, now: Uptime) -> Result<bool, B::Error> {
        if !progress.is_good(&self.terms, now) {
            return Ok(false);
        }
        self.good_until = self.terms.good_until(progress.confirmed);
        if self.keys.is_some() && self.version >= progress.version {
            return Ok(false);
        }
        let Some(document) = board.document()?.filter(|document| document.version >= progress.version) else {
            return Ok(false);
        };
        self.version = document.version;
        self.keys = K::read(&document.bytes).map(Rc::new);
        Ok(true)
    }
}

/// Writes the claim, unless somebody else was faster: then what that leaves.
fn claim<B: Board>(board: &B, begin: impl Fn(Progress) -> Begun) -> Result<Result<Fetch, Begun>, B::Error> {
    let mut outcome = Err(Begun::NotYet);
    board.change(&mut |progress| match begin(progress) {
        Begun::Fetch(fetch, claimed) => {
            outcome = Ok(fetch);
            Some(claimed)
        }
        other => {
            outcome = Err(other);
            None
        }
    })?;
    Ok(outcome)
}
