//! The streams of a proxy that are under way, by number.

mod access_loggers;
mod attempts;
pub(super) mod end;
mod retries;
pub(super) mod route_state;
mod router_step;
pub(super) mod router_timeouts;
pub(super) mod state;
pub(super) mod timers;

use self::state::{StreamId, StreamState};

/// Ordered by number. Streams arrive in the order of their numbers and mostly few are under way at once, so that the
/// newest is looked for first.
#[derive(Debug, Default)]
pub(crate) struct Streams(Vec<(StreamId, Box<StreamState>)>);

impl Streams {
    fn find(&self, id: StreamId) -> Result<usize, usize> {
        match self.0.last() {
            Some((last, _)) if *last == id => Ok(self.0.len() - 1),
            _ => self.0.binary_search_by_key(&id, |(known, _)| *known),
        }
    }

    pub(crate) fn get(&self, id: &StreamId) -> Option<&StreamState> {
        self.find(*id).ok().map(|at| &*self.0[at].1)
    }

    pub(crate) fn get_mut(&mut self, id: &StreamId) -> Option<&mut StreamState> {
        self.find(*id).ok().map(|at| &mut *self.0[at].1)
    }

    /// A stream of the same number is replaced.
    pub(crate) fn insert(&mut self, id: StreamId, stream: Box<StreamState>) {
        match self.find(id) {
            Ok(at) => self.0[at].1 = stream,
            Err(at) => self.0.insert(at, (id, stream)),
        }
    }

    pub(crate) fn remove(&mut self, id: &StreamId) -> Option<Box<StreamState>> {
        self.find(*id).ok().map(|at| self.0.remove(at).1)
    }

    /// Of clients' streams.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &StreamId> {
        self.0.iter().map(|(id, _)| id).filter(|id| !id.is_attempt())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
