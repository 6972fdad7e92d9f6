//! Cases made from bytes: the fuzzers in `fuzz/` and the tests here run the same ones. Knows the library's public
//! interface only, and nothing of the tests around it.

mod case;
mod guest;
mod run;
mod statuses;
mod traffic;

pub(crate) use guest::seeds;
pub(crate) use run::{described, hostcalls, module};
pub(crate) use traffic::traffic;
