//! What has been used once, remembered by all workers together.

use wayside_credentials::messages::replay::{Set, Spent, Ticket};
use wayside_sdk::{Shared, SharedError, Update, Wire};

use crate::kinds::Once;
use crate::timestamp::Timestamp;

/// How often others may write first. Two workers meet at the same set of 64 once in a while; each round one of them gets through.
const TRIES: u8 = 64;

/// The table that the workers of this proxy share, one record a set.
#[derive(Clone, Debug)]
pub struct Table {
    /// Before the number of the set
    key: &'static str,
    /// How many of a set may count at a time
    room: usize,
}

/// One set as a record.
struct Record(Set);

impl Wire for Record {
    const LAYOUT: u16 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Set::of(bytes).map(Self)
    }
}

impl Table {
    /// A filter that only watches has a table of its own: what it saw must not be spent for the one that decides.
    pub fn new(room: usize, watches: bool) -> Self {
        Self { key: if watches { "header_auth.watched." } else { "header_auth.spent." }, room }
    }

    /// Two hostcalls, of which one returns the set.
    ///
    /// # Errors
    /// Others wrote first each time, or what the host answered: it is not known whether it was spent.
    pub fn spend(&self, once: &Once, now: Timestamp) -> Result<Spent, SharedError> {
        let ticket = Ticket::new(once.tag, once.until.0);
        // The same under every configuration: what was spent stays spent when it is changed.
        let shared: Shared<Record> = Shared::new(format!("{}{}", self.key, ticket.set()), 0);
        let updated = shared.update(TRIES, |record| {
            let mut set = record.map_or_else(Set::default, |Record(set)| set);
            match set.spend(&ticket, now.0, self.room) {
                Spent::Now => Update::Write(Record(set), Spent::Now),
                refused => Update::Keep(refused),
            }
        });
        updated.map(|updated| updated.value)
    }
}
