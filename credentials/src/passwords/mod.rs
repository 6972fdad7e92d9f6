//! Keys and passwords, of which only digests are stored. A miss costs what a hit costs.

mod digest;
mod entry;
mod keys;
mod named;
mod phc;
mod stored;
mod verdicts;

pub use digest::{Digest, Pepper, bytes_from_hex};
pub use entry::{NotMade, Recipe, make};
pub use keys::{KeyStore, Taken};
pub use named::{Found, MOST_OF_ONE_NAME, NamedStore, NotStored};
pub use stored::{Salt, Stored, Unreadable};
pub use verdicts::Verdicts;

use crate::timestamp::Timestamp;

/// Why a well-formed credential is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    Unknown,
    NotYetValid,
    Expired,
}

/// When a credential counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    pub not_before: Option<Timestamp>,
    /// The first moment at which it no longer does
    pub not_after: Option<Timestamp>,
}

impl Period {
    /// # Errors
    /// Not at `now`.
    pub fn check(&self, now: Timestamp) -> Result<(), Rejection> {
        if self.not_before.is_some_and(|start| now < start) {
            return Err(Rejection::NotYetValid);
        }
        if self.not_after.is_some_and(|end| now >= end) {
            return Err(Rejection::Expired);
        }
        Ok(())
    }
}
