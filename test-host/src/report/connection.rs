//! One TCP connection's part of the report.

use bytes::Bytes;

use super::{Change, ConnectionReport, Effect, FieldDifference, Sent, Text, exchange::filters, text::plural};
use crate::{
    message::{Peer, RecordedConnection},
    proxy::{TcpEnd, TcpOutcome},
    replay::ReplayedProxy,
    trace::What,
};

pub(super) fn report(proxy: &ReplayedProxy, outcome: &TcpOutcome) -> ConnectionReport {
    let recorded = &outcome.recorded;
    let mut steps = filters(proxy, &outcome.usage, &outcome.trace.entries);
    for change in steps.iter_mut().flat_map(|step| &mut step.changed) {
        name_buffer(change);
    }
    let (to_upstream, to_client) = (
        sent(&outcome.upstream, outcome.upstream_ended),
        sent(&outcome.downstream, outcome.downstream_ended),
    );
    let mut differences = Vec::new();
    differences.extend(difference("to_upstream", recorded, Peer::Client, &outcome.upstream));
    let for_client = difference("to_client", recorded, Peer::Server, &outcome.downstream);
    let hung = recorded.is_over() && outcome.end == TcpEnd::Open;
    let visible = for_client.is_some();
    differences.extend(for_client);
    ConnectionReport {
        id: id(recorded),
        origin: format!("{}@{}", recorded.origin.file.display(), recorded.origin.offset),
        worker: outcome.thread,
        listener: outcome.listener.clone(),
        client: recorded.connection.remote.map(|address| address.to_string()),
        started_us: outcome.started.as_micros() as u64,
        ended_us: outcome.ended.as_micros() as u64,
        connected: outcome.connected,
        end: outcome.end,
        hung,
        from_client: all(recorded, Peer::Client),
        from_server: all(recorded, Peer::Server),
        to_upstream,
        to_client,
        filters: steps,
        proxy: of_proxy(outcome),
        differences,
        visible,
        notes: recorded.notes.iter().map(super::note).collect(),
        omitted: outcome.trace.omitted,
    }
}

/// `<proxy>/tcp/<number>`
pub(super) fn id(recorded: &RecordedConnection) -> String {
    format!("{}/tcp/{:04}", recorded.proxy, recorded.number)
}

/// What was recorded of one end.
fn all(recorded: &RecordedConnection, peer: Peer) -> Sent {
    let pieces = recorded.pieces_of(peer).count();
    let ended =
        recorded.steps.iter().any(|step| step.from == peer && step.event == crate::message::TcpEvent::End);
    Sent { bytes: recorded.bytes_of(peer), pieces, ended }
}

fn sent(pieces: &[Bytes], ended: bool) -> Sent {
    Sent { bytes: pieces.iter().map(|piece| piece.len() as u64).sum(), pieces: pieces.len(), ended }
}

/// Where pieces are cut is no difference: only what they come to.
fn difference(
    what: &'static str,
    recorded: &RecordedConnection,
    from: Peer,
    replayed: &[Bytes],
) -> Option<FieldDifference> {
    let mut bytes = recorded.pieces_of(from).flatten();
    let mut arrived = replayed.iter().flatten();
    let mut at: u64 = 0;
    loop {
        match (bytes.next(), arrived.next()) {
            (None, None) => return None,
            (one, other) if one == other => at += 1,
            _ => break,
        }
    }
    let one = |length: u64| vec![Text::from(&Bytes::from(format!("{length} bytes")))];
    let replayed: u64 = replayed.iter().map(|piece| piece.len() as u64).sum();
    let mut told = one(replayed);
    told.push(Text::from(&Bytes::from(format!("another from byte {at} on"))));
    Some(FieldDifference {
        what,
        place: None,
        name: None,
        recorded: one(recorded.bytes_of(from)),
        replayed: told,
    })
}

/// Buffers of a connection have names of their own.
fn name_buffer(change: &mut Change) {
    change.place = match change.place {
        "request_body" => "from_client",
        "response_body" => "from_server",
        other => other,
    };
}

fn of_proxy(outcome: &TcpOutcome) -> Vec<Effect> {
    let own = outcome.trace.entries.iter().filter(|entry| entry.filter.is_none());
    let told = own.filter_map(|entry| match &entry.what {
        What::Finding { kind, text } => Some(Effect {
            at_us: entry.at.as_micros() as u64,
            filter: None,
            said: format!("{kind}: {text}"),
            fault: false,
            finding: Some(*kind),
            threads: Vec::new(),
        }),
        _ => None,
    });
    told.collect()
}

/// What became of it, in a line: for the text, test cases and headlines.
pub(super) fn fate_of(connection: &ConnectionReport) -> String {
    let end = match (connection.connected, connection.end) {
        (_, _) if connection.hung => "hung",
        (_, TcpEnd::Open) => "open",
        (true, TcpEnd::Local) => "closed by the proxy",
        (false, TcpEnd::Local) => "closed by the proxy, not connected",
        (_, TcpEnd::Remote) => "closed by the client",
    };
    let way = |from: &Sent, to: &Sent, name: &str| {
        if from.bytes == to.bytes {
            format!("{} {name}", plural(to.bytes as usize, "byte"))
        } else {
            format!("{} → {} {name}", from.bytes, plural(to.bytes as usize, "byte"))
        }
    };
    let up = way(&connection.from_client, &connection.to_upstream, "to the upstream");
    let down = way(&connection.from_server, &connection.to_client, "to the client");
    let mut said = format!("{up}, {down}; {end}");
    for difference in &connection.differences {
        if difference.recorded.first() == difference.replayed.first() {
            said.push_str(&format!("; {} has other bytes", difference.what.replace('_', " ")));
        }
    }
    said
}
