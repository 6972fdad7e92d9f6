//! Each proxy: its configuration, what happened outside streams, and its metrics at the end.

use maud::{Markup, html};

use super::{ROWS, Shown, listed, more, number, shown::metric};
use crate::report::{
    MetricReport, MetricValue, ProxyReport, Report,
    text::{carried, milliseconds, plural},
};

pub(super) fn section(report: &Report) -> Markup {
    html! {
        h2 { "Proxies" }
        @for proxy in report.proxies.iter().take(ROWS) { (one(proxy)) }
        @if report.proxies.len() > ROWS { p.more { (more(report.proxies.len() - ROWS, "proxies")) } }
    }
}

fn one(proxy: &ProxyReport) -> Markup {
    let (still, moved): (Vec<_>, Vec<_>) = proxy.metrics.iter().partition(|metric| metric.value.is_zero());
    html! {
        details.proxy {
            summary {
                b { (Shown(&proxy.name)) } " "
                span.dim {
                    (carried(proxy)) ", configuration " code { (Shown(&proxy.configuration)) } ", "
                    (plural(moved.len(), "metric")) " not zero, " (number(proxy.random_bytes)) " random bytes"
                    @if !proxy.events.is_empty() { ", " (plural(proxy.events.len(), "event")) " outside streams" }
                }
                @if proxy.events.iter().any(|event| event.fault) { " " span.tag.bad { "failed" } }
            }
            @if !proxy.events.is_empty() {
                h3 { "Outside streams" }
                (listed(&proxy.events, ROWS, "events", |event| html! {
                    span.at { (milliseconds(event.at_us)) } " "
                    b { (Shown(event.filter.as_deref().unwrap_or("proxy"))) } " "
                    span.text.bad[event.fault] { (Shown(&event.said)) }
                }))
            }
            h3 { "Metrics" }
            @if moved.is_empty() { p { "All zero." } } @else { (metrics(&moved)) }
            @if !still.is_empty() {
                details { summary { (plural(still.len(), "metric")) " at zero" } (metrics(&still)) }
            }
        }
    }
}

fn metrics(metrics: &[&MetricReport]) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr { th { "metric" } th { "type" } th.n { "value" } } }
                tbody {
                    @for each in metrics.iter().take(ROWS) {
                        tr { td { (metric(&each.name)) } (value(&each.value)) }
                    }
                }
            }
        }
        @if metrics.len() > ROWS { p.more { (more(metrics.len() - ROWS, "metrics")) } }
    }
}

fn value(value: &MetricValue) -> Markup {
    html! {
        @match value {
            MetricValue::Counter { value } => { td { "counter" } td.n { (number(value)) } }
            MetricValue::Gauge { value } => { td { "gauge" } td.n { (number(value)) } }
            MetricValue::Histogram { count, sum } => {
                td { "histogram" } td.n { (number(count)) " values, sum " (number(sum)) }
            }
        }
    }
}
