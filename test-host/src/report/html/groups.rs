//! Exchanges, by what became of them: thousands that fare alike are one line, and open one by one.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, PreEscaped, html};

use super::{Shown, exchange, more, number};
use crate::{
    proxy::End,
    report::{ExchangeReport, FilterStep, Report, text::{answer_of, plural}},
};

/// How many exchanges are shown; the rest are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of one group.
    pub(super) each: usize,
    /// Of all.
    pub(super) all: usize,
    /// Bytes of markup for them all: what a browser opens without complaint.
    pub(super) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { each: 1_000, all: 5_000, bytes: 24 << 20 }
    }
}

/// What became of an exchange, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Failed,
    Hung,
    Noticed,
    /// Only what the upstream gets is another.
    RequestChanged,
    Same,
}

impl Fate {
    fn of(exchange: &ExchangeReport) -> Self {
        if exchange.filters.iter().any(|filter| !filter.faults.is_empty()) {
            Fate::Failed
        } else if exchange.end == End::Hung {
            Fate::Hung
        } else if exchange.visible {
            Fate::Noticed
        } else if exchange.differences.is_empty() {
            Fate::Same
        } else {
            Fate::RequestChanged
        }
    }

    fn tag(self) -> (&'static str, &'static str) {
        match self {
            Fate::Failed => ("tag bad", "filter failed"),
            Fate::Hung => ("tag bad", "hung"),
            Fate::Noticed => ("tag warn", "client notices"),
            Fate::RequestChanged => ("tag", "request only"),
            Fate::Same => ("tag good", "the same"),
        }
    }
}

pub(super) fn section(report: &Report, limits: Limits) -> Markup {
    let groups = grouped(&report.exchanges);
    let mut room = Room { exchanges: limits.all, bytes: limits.bytes };
    let mut out = String::new();
    let mut unseen = (0, 0);
    for (fate, said, members) in &groups {
        if room.exchanges == 0 || room.bytes == 0 {
            unseen = (unseen.0 + 1, unseen.1 + members.len());
        } else {
            out.push_str(&group(*fate, said, members, limits.each, &mut room).into_string());
        }
    }
    html! {
        h2 { "Exchanges" }
        p.small { "By what became of them against the recording, the worst first. Click a line to open it." }
        p id="search" hidden { input type="search" placeholder="Find: a path, a proxy, a status …" aria-label="Find exchanges"; " " output {} }
        (PreEscaped(out))
        @if unseen.0 > 0 { p.more { (plural(unseen.0, "group")) " not shown: " (more(unseen.1, "exchanges")) } }
        @if groups.is_empty() { p { "None." } }
    }
}

/// Equal fates, told in the same words, together: by fate, then the largest first.
fn grouped(exchanges: &[ExchangeReport]) -> Vec<(Fate, String, Vec<&ExchangeReport>)> {
    let mut groups: BTreeMap<(Fate, String), Vec<&ExchangeReport>> = BTreeMap::new();
    for exchange in exchanges {
        let fate = Fate::of(exchange);
        groups.entry((fate, headline(fate, exchange))).or_default().push(exchange);
    }
    let mut groups: Vec<_> = groups.into_iter().map(|((fate, said), members)| (fate, said, members)).collect();
    groups.sort_by_key(|(fate, _, members)| (*fate, std::cmp::Reverse(members.len())));
    groups
}

fn headline(fate: Fate, exchange: &ExchangeReport) -> String {
    let mut said = answer_of(exchange);
    let names_of = |which: fn(&FilterStep) -> bool| {
        let filters = exchange.filters.iter().filter(|filter| which(filter));
        filters.map(|filter| filter.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let answered = exchange.filters.iter().any(|filter| filter.answered.is_some());
    match fate {
        Fate::Failed => said.push_str(&format!("  failed: {}", names_of(|filter| !filter.faults.is_empty()))),
        Fate::RequestChanged => {
            said.push_str(&format!("  request changed by {}", names_of(|filter| !filter.changed.is_empty())));
        }
        // Whoever answers answers in other words: that is no news.
        Fate::Noticed if !answered && exchange.recorded_status == exchange.replayed_status => {
            let differing = exchange.differences.iter().filter(|difference| difference.is_visible());
            let names: BTreeSet<String> = differing
                .map(|difference| difference.name.as_ref().map_or(difference.label().to_owned(), ToString::to_string))
                .collect();
            said.push_str(&format!("  differs in {}", Vec::from_iter(names).join(", ")));
        }
        Fate::Noticed | Fate::Hung | Fate::Same => {}
    }
    said
}

/// What may still be shown.
struct Room {
    exchanges: usize,
    bytes: usize,
}

fn group(fate: Fate, said: &str, members: &[&ExchangeReport], each: usize, room: &mut Room) -> Markup {
    let mut rows = String::new();
    let mut shown = 0;
    for member in members.iter().take(each) {
        if room.exchanges == 0 || room.bytes == 0 {
            break;
        }
        let row = exchange::row(member).into_string();
        room.exchanges -= 1;
        room.bytes = room.bytes.saturating_sub(row.len());
        rows.push_str(&row);
        shown += 1;
    }
    let (class, name) = fate.tag();
    html! {
        details.group {
            summary { span class=(class) { (name) } " " b { (number(members.len())) " ×" } " " span.text { (Shown(said)) } }
            (PreEscaped(rows))
            @if members.len() > shown { p.more { (more(members.len() - shown, "exchanges of this kind")) } }
        }
    }
}
