//! A scenario's outcome as a text that stays the same while behaviour does: no sizes, hashes or costs in it.

use std::fmt::Write as _;

use super::Manifest;
use crate::{
    message::Message,
    replay::Replay,
    report::{MetricValue, Report, Text},
};

pub(super) fn tell(manifest: &Manifest, replay: &Replay, report: &Report) -> String {
    let mut out = format!("{}\n\n", manifest.about.trim());
    for (told, outcome) in report.exchanges.iter().zip(replay.outcomes()) {
        let _ = write!(out, "{}", report.story_of(told));
        for attempt in &outcome.earlier_attempts {
            message(&mut out, "upstream got", Some(attempt));
        }
        message(&mut out, "upstream got", outcome.upstream_request.as_ref());
        message(&mut out, "client got", outcome.downstream_response.as_ref());
        out.push('\n');
    }
    for proxy in &report.proxies {
        for event in &proxy.events {
            let _ = writeln!(out, "{}: {}", event.filter.as_deref().unwrap_or("proxy"), event.said);
        }
        for metric in &proxy.metrics {
            let _ = match &metric.value {
                MetricValue::Counter { value: 0 } | MetricValue::Histogram { count: 0, .. } => Ok(()),
                MetricValue::Counter { value } => writeln!(out, "counter    {} = {value}", metric.name),
                MetricValue::Gauge { value } => writeln!(out, "gauge      {} = {value}", metric.name),
                MetricValue::Histogram { count, sum } => {
                    writeln!(out, "histogram  {} count {count} sum {sum}", metric.name)
                }
            };
        }
    }
    out
}

fn message(out: &mut String, who: &str, message: Option<&Message>) {
    let Some(message) = message else {
        let _ = writeln!(out, "  {who} nothing");
        return;
    };
    let _ = writeln!(out, "  {who}");
    for header in message.headers.iter().chain(message.trailers.iter().flatten()) {
        let _ = writeln!(out, "    {}: {}", Text::from(&header.name), Text::from(&header.value));
    }
    if message.body_len() > 0 {
        let _ =
            writeln!(out, "    ({} bytes of body) {}", message.body_len(), Text::from(&shortened(message)));
    }
}

fn shortened(message: &Message) -> bytes::Bytes {
    let body = message.whole_body();
    body.slice(..body.len().min(200))
}
