//! What concerns the replay as a whole: totals, filters, modules, remarks.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{ROWS, Shown, listed, more, number};
use crate::{
    replay::Isolation,
    report::{
        FilterReport, Report,
        text::{plural, plural_of},
    },
};

/// Columns of per-filter numbers.
const COUNTED: [&str; 11] = [
    "filter",
    "exchanges",
    "changed",
    "answered",
    "paused",
    "callouts",
    "log lines",
    "metrics",
    "findings",
    "failed",
    "hostcalls/x",
];

pub(super) fn totals(report: &Report) -> Markup {
    let totals = &report.totals;
    let tile = |count: usize, what: &str, class: &'static str| {
        let class = if count == 0 { "tile" } else { class };
        html! { div class=(class) { b { (number(count)) } span { (what) } } }
    };
    let random: u64 = report.proxies.iter().map(|proxy| proxy.random_bytes).sum();
    html! {
        p.verdict {
            @if report.differs() { strong.bad { "Something a client would notice changed, or something failed." } }
            @else { strong.good { "No client would have noticed a difference." } }
            " " (plural(totals.exchanges, "exchange"))
            @if totals.connections.connections > 0 { " and " (plural(totals.connections.connections, "connection")) }
            " from " (plural_of(totals.proxies, "proxy", "proxies")) "."
        }
        div.tiles {
            (tile(totals.exchanges, "exchanges", "tile"))
            @if totals.connections.connections > 0 { (tile(totals.connections.connections, "TCP connections", "tile")) }
            (tile(totals.changed + totals.connections.changed, "changed in anything", "tile"))
            (tile(totals.visible_differences + totals.connections.visible_differences, "as a client would notice", "tile warn"))
            (tile(totals.hung + totals.connections.hung, "hung", "tile bad"))
            (tile(totals.faults, "failures of filters", "tile bad"))
            (tile(totals.skipped, "skipped, no configuration", "tile warn"))
        }
        p {
            "Answered with "
            @for (at, (status, count)) in totals.statuses.iter().take(ROWS).enumerate() {
                @if at > 0 { ", " }
                code { (Shown(status)) } " × " (number(count))
            }
            @if totals.statuses.len() > ROWS { ", " (more(totals.statuses.len() - ROWS, "statuses")) }
            ". Seed " code { (report.seed.0) } ": "
            @if random == 0 { "no filter drew random bytes, so every seed gives this report." }
            @else { (number(random)) " random bytes drawn; another seed can change the exchanges marked " span.tag { "random" } "." }
            @if report.isolation == Isolation::EachExchange {
                " Each exchange had VMs, shared data and metrics of its own; metrics are added up."
            }
        }
    }
}

pub(super) fn filters(report: &Report) -> Markup {
    let metered = report.is_metered();
    html! {
        h2 { "Filters" }
        div.wide {
            table.numbers {
                thead { tr { @for title in COUNTED { th { (title) } } @if metered { th { "fuel/x" } } } }
                tbody {
                    @for (name, sum) in &report.totals.filters {
                        @let each = |total: u64| total.checked_div((sum.exchanges + sum.connections) as u64).unwrap_or(0);
                        tr {
                            th scope="row" { (Shown(name)) }
                            @for count in [sum.exchanges + sum.connections, sum.changed, sum.answered, sum.paused, sum.callouts, sum.log_lines, sum.counted, sum.findings, sum.faults] {
                                td.zero[count == 0] { (number(count)) }
                            }
                            td { (number(each(sum.cost.calls()))) }
                            @if metered { td { (number(each(sum.cost.fuel.unwrap_or_default()))) } }
                        }
                    }
                }
            }
        }
        p.small {
            "changed, answered, paused: exchanges; callouts, log lines, metrics, findings, failed: times. "
            @if !report.traced { "No trace was kept: what filters changed, answered, logged and counted is not listed. " }
            @if metered { "hostcalls/x and fuel/x: mean of an exchange; fuel is the engine's count of instructions." }
            @else { "hostcalls/x: mean of an exchange. Instructions were not counted." }
        }
        @for (name, sum) in &report.totals.filters {
            @if !sum.cost.hostcalls.is_empty() {
                details {
                    summary { (Shown(name)) ": " (number(sum.cost.calls())) " hostcalls, "
                        (number(sum.cost.bytes_to_guest)) " bytes to the guest, " (number(sum.cost.bytes_from_guest)) " from it" }
                    table.numbers {
                        @for (call, times) in &sum.cost.hostcalls { tr { th scope="row" { code { (Shown(call)) } } td { (number(times)) } } }
                    }
                }
            }
        }
    }
}

/// Each module once, with the proxies that ran it where those are not all.
pub(super) fn modules(report: &Report) -> Markup {
    let mut modules: Vec<(&FilterReport, Vec<&str>)> = Vec::new();
    for proxy in &report.proxies {
        for filter in &proxy.filters {
            let same = |known: &&mut (&FilterReport, Vec<&str>)| {
                known.0.name == filter.name && known.0.sha256 == filter.sha256 && known.0.file == filter.file
            };
            match modules.iter_mut().find(same) {
                Some((_, proxies)) if proxies.last() == Some(&proxy.name.as_str()) => {}
                Some((_, proxies)) => proxies.push(&proxy.name),
                None => modules.push((filter, vec![&proxy.name])),
            }
        }
    }
    html! {
        h2 { "Modules" }
        div.wide {
            table {
                thead { tr { th { "filter" } th { "file" } th { "bytes" } th { "sha256" } th { "proxies" } } }
                tbody {
                    @for (module, proxies) in modules.iter().take(ROWS) {
                        tr {
                            th scope="row" { (Shown(&module.name)) }
                            td { code { (Shown(&module.file)) } }
                            td.n { (number(module.bytes)) }
                            td { code.hash { (Shown(&module.sha256)) } }
                            td { @if proxies.len() == report.proxies.len() { "all" } @else { (Shown(proxies.join(", "))) } }
                        }
                    }
                }
            }
        }
        @if modules.len() > ROWS { p.more { (more(modules.len() - ROWS, "modules")) } }
    }
}

pub(super) fn remarks(report: &Report) -> Markup {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let on_exchanges = report.exchanges.iter().flat_map(|exchange| &exchange.notes);
    let on_connections = report.connections.iter().flat_map(|connection| &connection.notes);
    for note in report.notes.iter().chain(on_exchanges).chain(on_connections) {
        *kinds.entry(format!("{:?}", note.kind)).or_default() += 1;
    }
    html! {
        h2 { "Notes on the recording" }
        @if kinds.is_empty() { p { "None." } }
        @else {
            table.numbers {
                @for (kind, count) in &kinds { tr { th scope="row" { (kind) } td { (number(count)) } } }
            }
            @if !report.notes.is_empty() {
                (listed(&report.notes, ROWS, "notes", |note| html! { code { (Shown(&note.place)) } ": " (Shown(&note.text)) }))
            }
            @if report.totals.notes > 0 { p.small { "Exchanges with notes are marked with their kinds." } }
        }
        @if !report.skipped.is_empty() {
            h2 { "Skipped" }
            p { "No configuration stands for the proxies of " (plural(report.skipped.len(), "exchange")) ":" }
            (listed(&report.skipped, ROWS, "exchanges", |id| html! { code { (Shown(id)) } }))
        }
        h2 { "Seen in the configuration, not emulated" }
        @if report.unsupported.is_empty() { p { "Nothing." } }
        @else {
            (listed(&report.unsupported, ROWS, "places", |part| html! { code { (Shown(&part.place)) } ": " (Shown(&part.what)) }))
        }
        @for proxy in &report.proxies {
            @for (call, times) in &proxy.unimplemented {
                p.bad { (Shown(&proxy.name)) ": hostcall " code { (Shown(call)) } " is not implemented by this host; called " (number(times)) " times, answered Unimplemented (12)." }
            }
        }
    }
}
