//! Exported spans: each trace a table, its hops as bars on one scale.

use maud::{Markup, html};

use super::{Shown, more, number};
use crate::report::{HopReport, TraceReport, TracesReport, text::milliseconds};

/// Traces of one page.
const TRACES: usize = 100;

/// Hops of one trace.
const HOPS: usize = 200;

/// The width of a bar that lasts as long as its trace.
const SCALE: u64 = 1000;

pub(super) fn section(received: &TracesReport) -> Markup {
    let slowest = received.slowest();
    html! {
        h2 { "Traces" }
        p.small { "What filters exported of each request, over all proxies; what took longest first. Click a line to open it." }
        @for trace in slowest.iter().take(TRACES) { (row(trace)) }
        @if slowest.len() > TRACES { p.more { (more(slowest.len() - TRACES, "traces")) } }
        @for refused in received.refused.iter().take(TRACES) { p.more { "Refused an export: " (Shown(refused)) } }
        @if received.refused.len() > TRACES { p.more { (more(received.refused.len() - TRACES, "refused exports")) } }
    }
}

fn row(trace: &TraceReport) -> Markup {
    html! {
        details.exchange {
            summary {
                code.id { (trace.trace_id) } " "
                span.text { (number(trace.hops.len())) " spans, " (milliseconds(trace.lasted_us)) }
            }
            table {
                thead { tr { th { "span" } th { "kind" } th { "began" } th { "took" } th { "in the trace" } } }
                tbody {
                    @for hop in trace.hops.iter().take(HOPS) { (bar(hop, trace.lasted_us)) }
                }
            }
            @if trace.hops.len() > HOPS { p.more { (more(trace.hops.len() - HOPS, "spans")) } }
        }
    }
}

fn bar(hop: &HopReport, whole: u64) -> Markup {
    let on_scale = |micros: u64| micros.saturating_mul(SCALE).checked_div(whole).unwrap_or(0).min(SCALE);
    let (from, width) = (on_scale(hop.started_us), on_scale(hop.lasted_us).max(2));
    html! {
        tr {
            td {
                @for _ in 0..hop.depth.min(20) { "\u{2003}" }
                (Shown(&hop.proxy)) " " (Shown(&hop.name))
                @if hop.failed { " " span.tag.bad { "failed" } }
                @if hop.parent_missing { " " span.tag { "parent not exported" } }
            }
            td { (hop.kind) }
            td { (milliseconds(hop.started_us)) }
            td { (milliseconds(hop.lasted_us)) }
            td {
                svg viewBox={ "0 0 " (SCALE) " 10" } width="240" height="10" preserveAspectRatio="none" role="img"
                    aria-label="its place in the trace" {
                    rect x=(from) y="2" width=(width) height="6" fill="currentColor" {}
                }
            }
        }
    }
}
