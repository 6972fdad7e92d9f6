//! Exchanges, by what became of them: thousands that fare alike are one line, and open one by one.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, PreEscaped, html};

use super::{Shown, exchange, more, number};
use crate::{
    proxy::End,
    report::{
        ExchangeReport, FilterStep,
        text::{answer_of, plural},
    },
};

/// How many exchanges are shown; the rest are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// In all groups together; small groups are shown whole, large ones get equal shares of what is left.
    pub(super) exchanges: usize,
    /// Bytes of markup for them all: what a browser opens without complaint.
    pub(super) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { exchanges: 5_000, bytes: 24 << 20 }
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

pub(super) fn section(exchanges: &[ExchangeReport], limits: Limits) -> Markup {
    let groups = grouped(exchanges);
    let each = share(groups.iter().map(|(_, _, members)| members.len()).collect(), limits.exchanges);
    let mut room = limits;
    let mut out = String::new();
    let mut unseen = (0, 0);
    for (fate, said, members) in &groups {
        if room.exchanges == 0 || room.bytes == 0 {
            unseen = (unseen.0 + 1, unseen.1 + members.len());
        } else {
            out.push_str(&group(*fate, said, members, each, &mut room).into_string());
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
    let mut groups: Vec<_> =
        groups.into_iter().map(|((fate, said), members)| (fate, said, members)).collect();
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
                .map(|difference| {
                    difference.name.as_ref().map_or(difference.label().to_owned(), ToString::to_string)
                })
                .collect();
            said.push_str(&format!("  differs in {}", Vec::from_iter(names).join(", ")));
        }
        Fate::Noticed | Fate::Hung | Fate::Same => {}
    }
    said
}

/// The most that each group may have so that all have no more than `all`; at least one.
fn share(mut sizes: Vec<usize>, all: usize) -> usize {
    sizes.sort_unstable();
    let (mut left, mut groups) = (all, sizes.len());
    for size in sizes {
        let each = left.checked_div(groups).unwrap_or(left);
        if size > each {
            return each.max(1);
        }
        left -= size;
        groups -= 1;
    }
    all.max(1)
}

fn group(fate: Fate, said: &str, members: &[&ExchangeReport], each: usize, room: &mut Limits) -> Markup {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Text;

    fn exchange(status: &'static str) -> ExchangeReport {
        let text = |text: &'static str| Text::from(&bytes::Bytes::from_static(text.as_bytes()));
        ExchangeReport {
            worker: crate::trace::Thread::Worker(0),
            id: "front/inbound/0001".to_owned(),
            origin: "front.json@0".to_owned(),
            method: text("GET"),
            authority: text("app"),
            path: text("/"),
            started_us: 0,
            ended_us: 0,
            end: End::Complete,
            recorded_status: Some(text(status)),
            replayed_status: Some(text(status)),
            details: None,
            route: None,
            cluster: None,
            filters: Vec::new(),
            proxy: Vec::new(),
            differences: Vec::new(),
            visible: false,
            notes: Vec::new(),
            omitted: 0,
        }
    }

    fn section_of(exchanges: usize, bytes: usize) -> (usize, String) {
        let all: Vec<_> = ["200", "200", "200", "404", "404", "500"].map(exchange).into();
        let html = section(&all, Limits { exchanges, bytes }).into_string();
        let missing = html.split("class=\"more\">").skip(1).filter_map(|line| line.split(" in the").next());
        let missing: Vec<_> = missing.map(str::to_owned).collect();
        (html.matches("class=\"exchange\"").count(), missing.join("; "))
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        assert_eq!(section_of(6, usize::MAX), (6, String::new()));
        assert_eq!(section_of(5, usize::MAX), (5, "1 more exchanges of this kind".to_owned()));
        let few = "2 more exchanges of this kind; 1 more exchanges of this kind; 1 group not shown: 1 more exchanges";
        assert_eq!(section_of(2, usize::MAX), (2, few.to_owned()));
        let none_left = "2 more exchanges of this kind; 2 groups not shown: 3 more exchanges";
        assert_eq!(section_of(6, 1), (1, none_left.to_owned()), "no room in bytes for a second one");
    }

    #[test]
    fn small_groups_are_whole_and_large_ones_share_the_rest() {
        assert_eq!(share(vec![900, 10, 900], 1_000), 495);
        assert_eq!(share(vec![5, 5], 10), 10);
        assert_eq!(share(vec![7; 20], 10), 1);
        assert_eq!(share(Vec::new(), 10), 10);
    }
}
