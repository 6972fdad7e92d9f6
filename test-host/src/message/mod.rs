//! HTTP as data: what was recorded, what a filter sees, what goes out. No behaviour of any proxy.

mod answer;
mod certificate;
mod connection;
mod exchange;
mod header_map;
mod tcp;
pub(crate) mod written;

pub use answer::{Answer, AnswerKind};
pub use connection::{Certificate, Connection, Protocol, Security, Tls};
pub use exchange::{
    Direction, Exchange, ExchangeId, Message, Note, NoteKind, Origin, Recording, Side, Timing,
};
pub(crate) use header_map::lower_case;
pub use header_map::{Header, HeaderMap};
pub use tcp::{Peer, RecordedConnection, TcpEvent, TcpStep};
