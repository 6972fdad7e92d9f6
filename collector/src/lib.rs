//! A collector for tests: OTLP over HTTP/1.1 and HTTP/2 on loopback, by the official messages. It keeps what it is sent, and answers
//! as its [`Manner`] says: well, partly, not yet, never, with junk.

mod manner;
mod message;
mod server;

pub use manner::{Manner, RetryAfter};
pub use message::{Message, Request};
pub use server::Collector;
