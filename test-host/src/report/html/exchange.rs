//! One exchange: what each filter did to it, and what differs from the recording.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{Shown, listed, more, number, shown::metric};
use crate::report::{
    Count, Effect, ExchangeReport, FieldDifference, FilterStep, NoteReport, Text,
    text::{change, milliseconds, plural},
};

/// Entries of one kind in one exchange.
const ENTRIES: usize = 100;

pub(super) fn row(exchange: &ExchangeReport) -> Markup {
    let took = exchange.ended_us.saturating_sub(exchange.started_us);
    html! {
        details.exchange {
            summary {
                code.id { (Shown(&exchange.id)) } " " code { (Shown(&exchange.method)) " " (Shown(&exchange.path)) } " "
                span.dim { (status(exchange.recorded_status.as_ref())) " → " (status(exchange.replayed_status.as_ref())) ", " (milliseconds(took)) }
                @for kind in kinds(exchange) { " " span.tag { (kind) } }
            }
            (facts(exchange))
            (told(&exchange.filters, &exchange.proxy, &exchange.differences, &exchange.notes, exchange.omitted))
        }
    }
}

/// What happened to an exchange or a connection.
pub(super) fn told(
    filters: &[FilterStep],
    proxy: &[Effect],
    different: &[FieldDifference],
    notes: &[NoteReport],
    omitted: u64,
) -> Markup {
    let (silent, acting): (Vec<_>, Vec<_>) = filters.iter().partition(|step| is_silent(step));
    html! {
        @if !filters.is_empty() {
            h4 { "Filters" }
            @for step in acting { (acted(step)) }
            @if !silent.is_empty() {
                p.dim { "without effect: " (Shown(silent.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(", "))) }
            }
        }
        @if !proxy.is_empty() {
            h4 { "Proxy" }
            (listed(proxy, ENTRIES, "steps", |step| html! { span.at { (milliseconds(step.at_us)) } " " (Shown(&step.said)) }))
        }
        @if !different.is_empty() { (differences(different)) }
        @if !notes.is_empty() {
            h4 { "Notes on the recording" }
            (listed(notes, ENTRIES, "notes", |note| html! { (Shown(&note.text)) " " span.dim { "(" code { (Shown(&note.place)) } ")" } }))
        }
        @if omitted > 0 { p.more { (plural(omitted as usize, "trace entry")) " did not fit the trace" } }
    }
}

/// What else there is to find an exchange by: its notes, and whether chance entered.
fn kinds(exchange: &ExchangeReport) -> BTreeSet<String> {
    let random = exchange.filters.iter().any(|step| step.random_bytes > 0);
    let notes = exchange.notes.iter().map(|note| format!("{:?}", note.kind));
    notes.chain(random.then(|| "random".to_owned())).collect()
}

fn status(status: Option<&Text>) -> Markup {
    html! { @if let Some(status) = status { (Shown(status)) } @else { "no answer" } }
}

fn facts(exchange: &ExchangeReport) -> Markup {
    let end = format!("{:?}", exchange.end).to_lowercase();
    html! {
        p.facts {
            span { "at " b { (milliseconds(exchange.started_us)) } }
            span { "authority " code { (Shown(&exchange.authority)) } }
            span { "ended " b { (end) } }
            @if let Some(details) = &exchange.details { span { "details " code { (Shown(details)) } } }
            @if let Some(route) = &exchange.route { span { "route " code { (Shown(route)) } } }
            @if let Some(cluster) = &exchange.cluster { span { "cluster " code { (Shown(cluster)) } } }
            span { "recorded in " code { (Shown(&exchange.origin)) } }
        }
    }
}

fn is_silent(step: &FilterStep) -> bool {
    let FilterStep {
        name: _,
        changed,
        answered,
        paused,
        resumed,
        callouts,
        logged,
        counted,
        properties,
        random_bytes,
        findings,
        faults,
        cost: _,
    } = step;
    let lists = changed.len()
        + callouts.len()
        + logged.len()
        + counted.len()
        + properties.len()
        + findings.len()
        + faults.len();
    lists == 0 && answered.is_none() && *paused == 0 && *resumed == 0 && *random_bytes == 0
}

fn acted(step: &FilterStep) -> Markup {
    html! {
        div.step {
            b { (Shown(&step.name)) } " "
            span.dim { (number(step.cost.calls())) " hostcalls" @if let Some(fuel) = step.cost.fuel { ", fuel " (number(fuel)) } }
            ul {
                (entries(&step.faults, "bad", "failed", |fault| html! { (Shown(fault)) }))
                @if let Some(answer) = &step.answered {
                    (entry("warn", "answered", html! { (answer.status) " (" (Shown(&answer.details)) "), " (number(answer.body_bytes)) " bytes" }))
                }
                (entries(&step.changed, "", "changed", |edit| html! { (Shown(change(edit))) }))
                @if step.paused > 0 || step.resumed > 0 {
                    (entry("", "paused", html! {
                        (plural(step.paused, "time")) @if step.resumed > 0 { ", resumed " (plural(step.resumed, "time")) }
                    }))
                }
                (entries(&step.callouts, "", "called", |call| html! {
                    code { (Shown(&call.cluster)) } ": " code { (Shown(&call.method)) " " (Shown(&call.path)) } " (token " (call.token) ")"
                }))
                (entries(&step.logged, "", "logged", |line| html! { b { (line.level) } " " (Shown(&line.text)) }))
                (entries(&step.counted, "", "counted", counted))
                (entries(&step.properties, "", "set property", |path| html! { code { (Shown(path)) } }))
                @if step.random_bytes > 0 { (entry("", "drew", html! { (number(step.random_bytes)) " random bytes" })) }
                (entries(&step.findings, "warn", "finding", |finding| html! { (Shown(finding)) }))
            }
        }
    }
}

fn counted(count: &Count) -> Markup {
    html! {
        (metric(&count.metric)) " "
        @match (count.by, count.recorded) {
            (Some(by), _) => b { (format!("{by:+}")) },
            (None, Some(value)) => { "← " b { (number(value)) } },
            (None, None) => "touched",
        }
    }
}

fn entries<T>(items: &[T], class: &str, tag: &str, row: impl Fn(&T) -> Markup) -> Markup {
    html! {
        @for item in items.iter().take(ENTRIES) { (entry(class, tag, row(item))) }
        @if items.len() > ENTRIES { li.more { (tag) ": " (more(items.len() - ENTRIES, "")) } }
    }
}

fn entry(class: &str, tag: &str, said: Markup) -> Markup {
    html! { li { span class={ "tag " (class) } { (tag) } " " span.text { (said) } } }
}

fn differences(differences: &[FieldDifference]) -> Markup {
    html! {
        h4 { "Differences" }
        div.wide {
            table.differences {
                thead { tr { th { "what" } th { "recorded" } th { "replayed" } } }
                tbody {
                    @for difference in differences.iter().take(ENTRIES) {
                        tr {
                            td { (difference.label()) @if let Some(name) = &difference.name { " " code { (Shown(name)) } } }
                            td { (side(&difference.recorded)) }
                            td { (side(&difference.replayed)) }
                        }
                    }
                }
            }
        }
        @if differences.len() > ENTRIES { p.more { (more(differences.len() - ENTRIES, "differences")) } }
    }
}

/// One line for each value of a field.
fn side(values: &[Text]) -> Markup {
    html! {
        @if values.is_empty() { span.dim { "absent" } }
        @for value in values.iter().take(ENTRIES) { div { code { (Shown(value)) } } }
        @if values.len() > ENTRIES { div.more { (more(values.len() - ENTRIES, "values")) } }
    }
}
