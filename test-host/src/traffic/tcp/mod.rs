//! TCP connections: from taps of sockets ([`sockets`]), and written out by hand ([`written`]).

pub(super) mod messages;
mod sockets;
mod written;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub(super) use sockets::Sockets;
pub use written::{ConnectionsError, WrittenConnection, connections_from_text, load_connections};

use crate::message::RecordedConnection;

/// Those of all files, numbered within their proxies in the order of time. What is written by hand knows no day: it begins
/// with the earliest that was recorded.
pub(super) fn in_order(
    recorded: Vec<RecordedConnection>,
    written: Vec<RecordedConnection>,
    earliest: Option<Duration>,
) -> Vec<RecordedConnection> {
    let first = recorded.iter().filter_map(|connection| connection.began).chain(earliest).min();
    let dated = written.into_iter().map(|connection| match (connection.began, first) {
        (Some(began), Some(first)) => {
            let began = first.saturating_add(began.saturating_sub(written::EPOCH));
            RecordedConnection { began: Some(began), ..connection }
        }
        _ => connection,
    });
    let mut all: Vec<RecordedConnection> = recorded.into_iter().chain(dated).collect();
    all.sort_by(|a, b| (&a.proxy, a.began).cmp(&(&b.proxy, b.began)));
    let mut numbers: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    for connection in &mut all {
        let number = numbers.entry(Arc::clone(&connection.proxy)).or_default();
        *number = number.saturating_add(1);
        connection.number = *number;
    }
    all
}
