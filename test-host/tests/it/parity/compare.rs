//! One exchange on both sides → what differs that no rule lets pass.

use bytes::Bytes;
use wayside::message::{HeaderMap, Message};

use super::differences::{Place, Rules};

/// What one side made of an exchange.
#[derive(Debug)]
pub(super) struct Seen {
    /// What reached the upstream: nothing where a filter answered.
    pub(super) upstream: Vec<Message>,
    pub(super) client: Option<Message>,
}

/// Differences, each in a line of its own.
pub(super) fn compare(rules: &Rules, exchange: &str, envoy: &Seen, replay: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    if envoy.upstream.len() == replay.upstream.len() {
        for (envoy, replay) in envoy.upstream.iter().zip(&replay.upstream) {
            messages(&mut found, rules, exchange, Place::UpstreamRequest, envoy, replay);
        }
    } else {
        let (envoy, replay) = (envoy.upstream.len(), replay.upstream.len());
        found.push(line(exchange, "requests at the upstream", &envoy.to_string(), &replay.to_string()));
    }
    match (&envoy.client, &replay.client) {
        (Some(envoy), Some(replay)) => {
            messages(&mut found, rules, exchange, Place::ClientResponse, envoy, replay)
        }
        (None, None) => {}
        (envoy, replay) => {
            let told = |side: &Option<Message>| {
                side.as_ref().map_or("none".to_owned(), |m| status(m).escape_ascii().to_string())
            };
            found.push(line(exchange, "response at the client", &told(envoy), &told(replay)));
        }
    }
    found
}

fn messages(
    found: &mut Vec<String>,
    rules: &Rules,
    exchange: &str,
    place: Place,
    envoy: &Message,
    replay: &Message,
) {
    for name in [":status", ":method", ":authority", ":path"] {
        let value = |message: &Message| {
            message.headers.first(name.as_bytes()).map(|v| v.escape_ascii().to_string()).unwrap_or_default()
        };
        if value(envoy) != value(replay) {
            found.push(line(exchange, &format!("{place:?} {name}"), &value(envoy), &value(replay)));
        }
    }
    let (mut ours, mut theirs) = (fields(Some(&replay.headers)), fields(Some(&envoy.headers)));
    rules.reconcile(place, exchange, &mut theirs, &mut ours);
    if ours != theirs {
        found.push(line(exchange, &format!("{place:?} headers"), &list(&theirs), &list(&ours)));
    }
    if envoy.whole_body() != replay.whole_body() {
        let told = |message: &Message| {
            let body = message.whole_body();
            format!(
                "{} bytes: {}",
                body.len(),
                body.get(..body.len().min(200)).unwrap_or_default().escape_ascii()
            )
        };
        found.push(line(exchange, &format!("{place:?} body"), &told(envoy), &told(replay)));
    }
    let (ours, theirs) = (fields(replay.trailers.as_ref()), fields(envoy.trailers.as_ref()));
    if ours != theirs {
        found.push(line(exchange, &format!("{place:?} trailers"), &list(&theirs), &list(&ours)));
    }
}

fn status(message: &Message) -> &[u8] {
    message.headers.first(b":status").map(|status| &status[..]).unwrap_or_default()
}

/// All but pseudo headers, which are no fields in HTTP/1.1.
fn fields(headers: Option<&HeaderMap>) -> Vec<(Bytes, Bytes)> {
    let fields = headers.into_iter().flatten().filter(|header| !header.name.starts_with(b":"));
    fields.map(|header| (header.name.clone(), header.value.clone())).collect()
}

fn list(fields: &[(Bytes, Bytes)]) -> String {
    let lines = fields.iter().map(|(name, value)| {
        let value = value.get(..value.len().min(200)).unwrap_or_default();
        format!("\n      {}: {}", name.escape_ascii(), value.escape_ascii())
    });
    lines.collect()
}

fn line(exchange: &str, field: &str, envoy: &str, replay: &str) -> String {
    format!("{exchange}: {field}\n    Envoy:  {envoy}\n    replay: {replay}")
}
