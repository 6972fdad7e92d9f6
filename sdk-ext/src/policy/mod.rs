//! What several filters decide alike: which rule a request falls under, on which reading of its path.
//! Pure: bytes in, values out, no proxy behind it.

mod matching;
mod path;
mod rules;

pub use matching::{Match, PathCase, RawHeaderMatch, RawMatch, RawPathMatch, RequestView};
pub use path::{Ambiguity, CanonicalPath, PathReading, PathRefusal, read_path};
pub use rules::{Asked, DEFAULT_RULE, RawRule, Rule, Rules};
