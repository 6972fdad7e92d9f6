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
use super::numbered::Numbered;

#[derive(Debug, Default)]
pub(crate) struct Streams(Numbered<StreamId, Box<StreamState>>);

impl Streams {
    pub(crate) fn get(&self, id: &StreamId) -> Option<&StreamState> {
        self.0.get(id).map(Box::as_ref)
    }

    pub(crate) fn get_mut(&mut self, id: &StreamId) -> Option<&mut StreamState> {
        self.0.get_mut(id).map(Box::as_mut)
    }

    /// A stream of the same number is replaced.
    pub(crate) fn insert(&mut self, id: StreamId, stream: Box<StreamState>) {
        self.0.insert(id, stream);
    }

    pub(crate) fn remove(&mut self, id: &StreamId) -> Option<Box<StreamState>> {
        self.0.remove(id)
    }

    /// Of clients' streams.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &StreamId> {
        self.0.keys().filter(|id| !id.is_attempt())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
