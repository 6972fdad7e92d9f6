//! A key set that is kept at its provider: when it is fetched, what of an answer is believed, and for how long, for several
//! workers of one proxy that share nothing but two records.
//!
//! Whoever finds a fetch due claims it by compare-and-swap, so there is no leader whose death would have to be noticed: a claim
//! counts as a failed fetch until its answer has come, and ends by itself.

mod answer;
mod progress;
mod terms;
mod worker;

#[cfg(test)]
mod simulation;

pub use answer::{Answer, Flaw, MAX_DOCUMENT};
pub use progress::{Begun, Fetch, Progress};
pub use terms::{Jitter, Terms, Uptime};
pub use worker::{Board, Document, Keys, Looked, Wanted, Worker};
