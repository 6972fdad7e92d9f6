//! TCP connections: one line each, the worst first, and what happened to each behind it.

use maud::{Markup, PreEscaped, html};

use super::{Shown, exchange, groups::Limits, more, number};
use crate::report::{
    ConnectionReport, Sent,
    connection::fate_of,
    text::{milliseconds, plural},
};

pub(super) fn section(connections: &[ConnectionReport]) -> Markup {
    let mut order: Vec<&ConnectionReport> = connections.iter().collect();
    order.sort_by_key(|connection| fate(connection).0);
    let mut room = Limits::default();
    let mut out = String::new();
    let mut shown = 0;
    for connection in &order {
        if room.exchanges == 0 || room.bytes == 0 {
            break;
        }
        let row = row(connection).into_string();
        room.exchanges -= 1;
        room.bytes = room.bytes.saturating_sub(row.len());
        out.push_str(&row);
        shown += 1;
    }
    html! {
        h2 { "Connections" }
        p.small { "TCP, what a client would have noticed first. Click a line to open it." }
        (PreEscaped(out))
        @if order.len() > shown { p.more { (more(order.len() - shown, "connections")) } }
    }
}

/// What became of it, the worst first: an order, a class, a word.
fn fate(connection: &ConnectionReport) -> (u8, &'static str, &'static str) {
    if connection.filters.iter().any(|filter| !filter.faults.is_empty()) {
        (0, "tag bad", "filter failed")
    } else if connection.hung {
        (1, "tag bad", "hung")
    } else if connection.visible {
        (2, "tag warn", "client notices")
    } else if !connection.differences.is_empty() {
        (3, "tag", "upstream only")
    } else {
        (4, "tag good", "the same")
    }
}

fn row(connection: &ConnectionReport) -> Markup {
    let (_, class, word) = fate(connection);
    html! {
        details.exchange {
            summary {
                span class=(class) { (word) } " " code.id { (Shown(&connection.id)) } " " span.text { (Shown(fate_of(connection))) }
            }
            (facts(connection))
            (exchange::told(&connection.filters, &connection.proxy, &connection.differences, &connection.notes, connection.omitted))
        }
    }
}

fn facts(connection: &ConnectionReport) -> Markup {
    let took = connection.ended_us.saturating_sub(connection.started_us);
    html! {
        p.facts {
            span { "at " b { (milliseconds(connection.started_us)) } }
            span { "took " b { (milliseconds(took)) } }
            span { "listener " code { (Shown(&connection.listener)) } }
            @if let Some(client) = &connection.client { span { "client " code { (Shown(client)) } } }
            span { "recorded in " code { (Shown(&connection.origin)) } }
        }
        p.facts {
            (sent("client sent", &connection.from_client))
            (sent("upstream got", &connection.to_upstream))
            (sent("upstream sent", &connection.from_server))
            (sent("client got", &connection.to_client))
        }
    }
}

fn sent(what: &str, sent: &Sent) -> Markup {
    html! {
        span { (what) " " b { (number(sent.bytes)) } " bytes in " (plural(sent.pieces, "piece")) @if sent.ended { ", ended" } }
    }
}
