//! Whether what a comparison costs tells of the secret, counted in instructions of the module, which are exact. Times of the pure functions are the
//! bench's to show: `cargo xtask bench timing`, whose inputs and statistic are used here too.

pub mod guest;
#[path = "../../../credentials/benches/timing/inputs.rs"]
mod inputs;
#[path = "../../../credentials/benches/timing/statistic.rs"]
mod statistic;

pub use inputs::{Chance, Class};
pub use statistic::{Samples, THRESHOLD};
