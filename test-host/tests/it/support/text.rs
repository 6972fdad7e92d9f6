//! What happened, one line an event: what snapshots are made of.

use std::fmt::Write;

use bytes::Bytes;
use wayside::{
    abi::LogLevel,
    message::{HeaderMap, Message},
    proxy::{Metric, Outcome},
    replay::Replay,
    trace::{BodyEdit, Change, Entry, HeaderEdit, What},
};

pub(super) fn of(replay: &Replay, filters: &[String]) -> String {
    let mut text = String::new();
    for proxy in &replay.proxies {
        for outcome in &proxy.outcome.outcomes {
            exchange(&mut text, outcome, filters);
        }
        let metrics: Vec<_> = proxy.outcome.metrics.iter().collect();
        // The main thread and canaries do the same once more, or twice; `workers.rs` shows them.
        let outside: Vec<_> =
            proxy.outcome.trace.entries.iter().filter(|entry| !entry.thread.is_main()).collect();
        if !outside.is_empty() || !metrics.is_empty() || !proxy.outcome.unimplemented.is_empty() {
            text.push_str("outside streams\n");
        }
        for entry in outside {
            event(&mut text, entry, filters);
        }
        for (name, metric) in metrics {
            let value = match metric {
                Metric::Counter(value) | Metric::Gauge(value) => value.to_string(),
                Metric::Histogram(values) => format!("{values:?}"),
            };
            let _ = writeln!(text, "  metric {} {value}", name.escape_ascii());
        }
        for (name, calls) in &proxy.outcome.unimplemented {
            let _ = writeln!(text, "  unimplemented: {name} {calls}");
        }
    }
    text
}

fn exchange(text: &mut String, outcome: &Outcome, filters: &[String]) {
    let first = |name: &[u8]| {
        outcome.exchange.request.headers.first(name).map(|value| value.escape_ascii().to_string())
    };
    let method = first(b":method").unwrap_or_default();
    let _ = writeln!(text, "{method} {}", first(b":path").unwrap_or_default());
    for entry in &outcome.trace.entries {
        event(text, entry, filters);
    }
    message(text, "upstream", outcome.upstream_request.as_ref());
    message(text, "client", outcome.downstream_response.as_ref());
    let details =
        outcome.details.as_ref().map(|details| details.escape_ascii().to_string()).unwrap_or_default();
    let _ = writeln!(text, "  end: {:?} after {:?}, {details}", outcome.end, outcome.ended - outcome.started);
}

fn message(text: &mut String, who: &str, message: Option<&Message>) {
    let Some(message) = message else {
        let _ = writeln!(text, "  {who} got nothing");
        return;
    };
    let _ = write!(text, "  {who} got {}", fields(&message.headers));
    let chunks: Vec<String> =
        message.body.iter().map(|chunk| format!("\"{}\"", chunk.escape_ascii())).collect();
    if !chunks.is_empty() {
        let _ = write!(text, " {}", chunks.join(" "));
    }
    if let Some(trailers) = &message.trailers {
        let _ = write!(text, " {}", fields(trailers));
    }
    text.push('\n');
}

fn fields(headers: &HeaderMap) -> String {
    let shown = headers.iter().filter(|header| !matches!(&header.name[..], b":authority" | b":scheme"));
    format!("[{}]", shown.map(|header| format!("{header:?}")).collect::<Vec<_>>().join(", "))
}

fn event(text: &mut String, entry: &Entry, filters: &[String]) {
    let who = entry.filter.map_or("proxy", |filter| filters[filter.0].as_str());
    let at = entry.at.as_millis();
    let _ = writeln!(text, "  {at} {who}: {}", what(&entry.what));
}

fn what(what: &What) -> String {
    let shown = |bytes: &Bytes| bytes.escape_ascii().to_string();
    match what {
        What::Called { callback, action: Some(action) } => format!("{callback} = {action:?}"),
        What::Called { callback, action: None } => (*callback).to_owned(),
        What::Header { map, edit } => format!("{map:?} {}", header_edit(edit)),
        What::Body { path, edit, bytes } => {
            let edit = match edit {
                BodyEdit::Replaced => "replaced by",
                BodyEdit::Prepended => "prepended with",
                BodyEdit::Appended => "appended with",
            };
            format!("{path:?} body {edit} {bytes} bytes")
        }
        What::Replied { status, details, body } => {
            format!("replied {status} with {body} bytes, details \"{}\"", shown(details))
        }
        What::Resumed { path } => format!("resumed {path:?}"),
        What::Closed => "closed".to_owned(),
        What::CalledOut { cluster, method, path, token } => {
            format!("called {} {} at {} as {token}", shown(method), shown(path), shown(cluster))
        }
        What::CalloutAnswered { token, answer } => format!("callout {token} answered: {answer}"),
        What::Logged { level: LogLevel::Info, text } => {
            shown(text).replace("\\\"", "\"").replace("\\\\", "\\")
        }
        What::Logged { level, text } => format!("[{level:?}] {}", shown(text)),
        What::Counted { metric, kind, change: Change::By(by) } => {
            format!("{kind:?} {} by {by}", shown(metric))
        }
        What::Counted { metric, kind, change: Change::Recorded(value) } => {
            format!("{kind:?} {} recorded {value}", shown(metric))
        }
        What::SetProperty { path, bytes } => format!("property {} set to {bytes} bytes", shown(path)),
        What::Random { bytes } => format!("drew {bytes} random bytes"),
        What::Fault { reason } => format!("FAULT {}", reason.lines().next().unwrap_or_default()),
        What::Finding { kind, text } => format!("FINDING {kind}: {text}"),
        What::Routed { route, cluster } => format!("routed by {route} to {cluster}"),
        What::RouterReplied { status, details } => format!("router replied {status}, {details}"),
        What::ClientLeft => "the client left, as recorded".to_owned(),
        What::Reconfigured { text } => text.clone(),
        What::UpstreamBroke => "the upstream broke off".to_owned(),
        What::Retries { after } => format!("tries again in {} ms", after.as_millis()),
        What::UpstreamAnswered { status } => format!("upstream answered {status}"),
    }
}

fn header_edit(edit: &HeaderEdit) -> String {
    let shown = |bytes: &Bytes| bytes.escape_ascii().to_string();
    let all = |values: &[Bytes]| values.iter().map(shown).collect::<Vec<_>>().join(" | ");
    match edit {
        HeaderEdit::Added { name, value } => format!("+ {}: {}", shown(name), shown(value)),
        HeaderEdit::Replaced { name, before, value } => {
            format!("= {}: {} (was {})", shown(name), shown(value), all(before))
        }
        HeaderEdit::Removed { name, before } => format!("- {} (was {})", shown(name), all(before)),
        HeaderEdit::Rewritten { fields } => format!("rewritten: {fields} fields"),
    }
}
