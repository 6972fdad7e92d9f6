//! What several filters decide alike: which rule a request falls under, on which reading of its path, and whom a
//! control header is believed. Pure: bytes in, values out, no proxy behind it.

mod matching;
mod path;
mod rules;
mod trust;

pub use matching::{Match, PathCase, RawHeaderMatch, RawMatch, RawPathMatch, RequestView};
pub use path::{Ambiguity, CanonicalPath, PathReading, PathRefusal, read_path};
pub use rules::{Asked, DEFAULT_RULE, RawRule, Rule, Rules};
pub use trust::Trust;
