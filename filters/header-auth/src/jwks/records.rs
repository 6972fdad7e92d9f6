//! The two records of a key set in shared data.

use wayside_credentials::jwks::{Board, Document, Progress, Terms};
use wayside_sdk::shared::{Shared, SharedError, Update, Wire};

use super::Place;

/// Rounds of a compare-and-swap. Whoever loses one has lost to a VM that did the same thing.
const TRIES: u8 = 16;

struct Steps(Progress);

impl Wire for Steps {
    const LAYOUT: u16 = 0x4a01;

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(bytes: &[u8]) -> Option<Steps> {
        Progress::decode(bytes).map(Steps)
    }
}

struct Text(Document);

impl Wire for Text {
    const LAYOUT: u16 = 0x4a02;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.version.to_le_bytes());
        out.extend_from_slice(&self.0.bytes);
    }

    fn decode(bytes: &[u8]) -> Option<Text> {
        let (version, bytes) = bytes.split_first_chunk()?;
        Some(Text(Document { version: u64::from_le_bytes(*version), bytes: bytes.to_vec() }))
    }
}

/// Shared by all VMs, and by all providers that fetch the same document on the same terms.
pub(super) struct Records {
    steps: Shared<Steps>,
    text: Shared<Text>,
}

impl Records {
    pub(super) fn of(place: &Place, terms: &Terms) -> Records {
        let key = |which: &[u8]| {
            let mut key = b"header_auth.jwks\0".to_vec();
            for part in [which, place.cluster.as_bytes(), place.host.as_bytes(), place.path.as_bytes()] {
                key.extend_from_slice(part);
                key.push(0);
            }
            for time in [terms.refresh, terms.min_refetch, terms.timeout, terms.stale_if_error] {
                key.extend_from_slice(&time.as_millis().to_le_bytes());
            }
            key
        };
        Records { steps: Shared::new(key(b"steps"), 0), text: Shared::new(key(b"text"), 0) }
    }
}

impl Board for Records {
    type Error = SharedError;

    fn progress(&self) -> Result<Option<Progress>, SharedError> {
        Ok(self.steps.load()?.map(|Steps(progress)| progress))
    }

    fn change(&self, change: &mut dyn FnMut(Progress) -> Option<Progress>) -> Result<bool, SharedError> {
        let updated = self.steps.update(TRIES, |stored| {
            let before = stored.map(|Steps(progress)| progress).unwrap_or_default();
            match change(before) {
                Some(after) => Update::Write(Steps(after), true),
                None => Update::Keep(false),
            }
        })?;
        Ok(updated.value)
    }

    fn document(&self) -> Result<Option<Document>, SharedError> {
        Ok(self.text.load()?.map(|Text(document)| document))
    }

    fn publish(&self, document: &Document) -> Result<u64, SharedError> {
        let updated = self.text.update(TRIES, |stored| match stored {
            Some(Text(there)) if there.bytes == document.bytes || there.version > document.version => {
                Update::Keep(there.version)
            }
            _ => Update::Write(Text(document.clone()), document.version),
        })?;
        Ok(updated.value)
    }
}
