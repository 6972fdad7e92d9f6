//! The filters in the real Envoy: several workers, open-loop clients, upstream servers that fail in each way, all counting what
//! they saw. `cargo xtask bench` prints the tables; the acceptance cases that need an Envoy are this crate's tests.
//!
//! One row of a table, or one case, is a [`Door`]: a listener, its route and its cluster, all of one name. An Envoy may have many.

pub mod amplification;
pub mod attacks;
pub mod bootstrap;
pub mod chain;
pub mod load;
pub mod recovery;
pub mod table;
pub mod timing;
pub mod uploads;
pub mod upstream;

mod proxy;

pub use bootstrap::{Door, Wasm};
pub use load::{Body, Client, Protocol, Reply};
pub use proxy::Proxy;
pub use upstream::{Answer, Refusing, Upstream};

/// As many requests as one wants to send, and how fast, whatever comes back.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub requests: u32,
    pub per_second: u32,
}
