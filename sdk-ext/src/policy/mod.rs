//! What several filters decide alike: which rule a request falls under, on which reading of its path, whom a control header is
//! believed, and how much is allowed in a while. Pure: bytes, state and a time in, values out, no proxy behind it.

mod buckets;
#[cfg(any(test, feature = "sfv"))]
pub mod fields;
mod grpc;
mod histogram;
#[cfg(any(test, feature = "hmac"))]
mod hmac;
mod matching;
mod path;
mod peers;
pub mod retries;
mod rules;
mod trust;
mod windows;

pub use buckets::{Gcra, Limit, TokenBucket, Verdict};
pub use grpc::is_grpc_method;
pub use histogram::{Buckets, LogHistogram};
#[cfg(any(test, feature = "hmac"))]
pub use hmac::{hmac_sha256, hmac_sha256_matches};
pub use matching::{Match, PathCase, RawHeaderMatch, RawMatch, RawPathMatch, RequestView};
pub use path::{Ambiguity, CanonicalPath, PathReading, PathRefusal, read_path};
pub use peers::{Cidr, TrustedPeers, peer_address};
pub use rules::{Asked, DEFAULT_RULE, RawRule, Rule, Rules};
pub use trust::Trust;
pub use windows::{Allowance, Slice, Slices, Window};
