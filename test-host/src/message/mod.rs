//! HTTP as data: what was recorded, what a filter sees, what goes out. No behaviour of any proxy.

mod exchange;
mod header_map;

pub use exchange::{
    Connection, Direction, Exchange, ExchangeId, Message, Note, NoteKind, Origin, Recording, Side, Timing,
};
pub use header_map::{Header, HeaderMap};
