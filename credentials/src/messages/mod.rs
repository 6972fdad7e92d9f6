//! Signatures of HTTP messages: RFC 9421 with the content's digest (RFC 9530), the signed webhooks of some services, and what tells a
//! message that comes a second time.

pub mod base;
pub mod component;
pub mod digest;
pub mod fields;
mod message;
mod query;
pub mod replay;
pub mod signature;
pub mod webhook;

pub use message::{Field, Malformed, Message};
