//! What was seen of a behaviour, as text: the same for host and Envoy, without what cannot be equal.

use std::{collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use bytes::Bytes;
use regex::Regex;
use sha2::{Digest as _, Sha256};

use crate::message::{HeaderMap, Message};

/// Of a response, in the order of their bits (Envoy, `stream_info/utility.h`).
pub(super) const FLAGS: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX",
    "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR", "UDO",
];

/// One side's view of a behaviour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How it came to an early end: nothing else is compared then.
    pub ended: Option<Ended>,
    /// Lines that the main thread's VMs logged.
    pub main: Vec<String>,
    /// Lines that the workers' VMs logged, and their faults.
    pub worker: Vec<String>,
    pub exchanges: Vec<SeenExchange>,
    /// Of a behaviour of network filters.
    pub connection: Option<SeenConnection>,
    /// What callouts brought to their clusters.
    pub callouts: Vec<(String, Message)>,
    /// In the form `counter 3`.
    pub metrics: BTreeMap<String, String>,
}

/// Why there is no more to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The configuration was not accepted.
    Refused,
    /// The process died.
    Crashed,
    /// The worker does not come back.
    Hung,
}

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenExchange {
    pub request: String,
    /// What reached the upstream.
    pub upstream: Vec<Message>,
    pub client: SeenByClient,
    pub details: String,
    pub flags: String,
}

/// What the ends of a TCP connection got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenConnection {
    /// `None`: the proxy did not connect.
    pub upstream: Option<SeenEnd>,
    pub client: SeenEnd,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenEnd {
    pub got: Bytes,
    /// The proxy will send no more.
    pub closed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenByClient {
    Answer(Message),
    /// The connection ended within an answer.
    Part(Message),
    Reset,
    /// No end of an answer came until the client went away.
    GaveUp,
}

impl Seen {
    /// The text of it, a line each.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.main {
            let _ = writeln!(text, "main {}", normalised(line));
        }
        for line in &self.worker {
            let _ = writeln!(text, "worker {}", normalised(line));
        }
        match self.ended {
            Some(Ended::Refused) => return format!("{text}REFUSED: the configuration is not accepted\n"),
            Some(Ended::Crashed) => return "CRASHED: Envoy ends here\n".to_owned(),
            Some(Ended::Hung) => return "HUNG: the worker does not come back\n".to_owned(),
            None => {}
        }
        for exchange in &self.exchanges {
            exchange.write(&mut text);
        }
        if let Some(SeenConnection { upstream, client }) = &self.connection {
            let end = |end: &SeenEnd| {
                format!("{}, {}", shown(&end.got), if end.closed { "closed" } else { "open" })
            };
            let upstream = upstream.as_ref().map_or("no connection".to_owned(), end);
            let _ = writeln!(text, "connection\n  upstream got {upstream}\n  client got {}", end(client));
        }
        for (cluster, request) in &self.callouts {
            let _ = writeln!(text, "callout {cluster} got {}", message(request, Side::Service));
        }
        for (name, value) in &self.metrics {
            let _ = writeln!(text, "metric {name} {value}");
        }
        text
    }
}

impl SeenExchange {
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "{}", self.request);
        if self.upstream.is_empty() {
            text.push_str("  upstream got nothing\n");
        }
        for (nth, request) in self.upstream.iter().enumerate() {
            let id = |request: &Message| request.headers.first(b"x-request-id").cloned();
            let mut before = self.upstream.iter().take(nth);
            let is_further = before.any(|earlier| id(earlier).is_some() && id(earlier) == id(request));
            let shown = message(request, Side::Upstream);
            let shown = if is_further { of_further_attempt(&shown) } else { shown };
            let _ = writeln!(text, "  upstream got {shown}");
        }
        let _ = match &self.client {
            SeenByClient::Answer(answer) => writeln!(text, "  client got {}", message(answer, Side::Client)),
            SeenByClient::Part(answer) => {
                writeln!(text, "  client got a part of {}", message(answer, Side::Client))
            }
            SeenByClient::Reset => writeln!(text, "  client was cut off"),
            SeenByClient::GaveUp => writeln!(text, "  client gave up"),
        };
        let _ = writeln!(text, "  access log: {} {}", self.details, self.flags);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Upstream,
    Service,
    Client,
}

/// `GET /path [x-a: 1] "body" trailers [t: 1]`.
fn message(message: &Message, side: Side) -> String {
    let first = |name: &[u8]| message.headers.first(name).map(|v| v.escape_ascii().to_string());
    let mut text = match side {
        Side::Upstream | Side::Service => {
            let authority = first(b":authority").unwrap_or_default();
            format!(
                "{} {authority} {}",
                first(b":method").unwrap_or_default(),
                first(b":path").unwrap_or_default()
            )
        }
        Side::Client => first(b":status").unwrap_or_default(),
    };
    let _ = write!(text, " [{}]", fields(&message.headers, side));
    let body = message.whole_body();
    if !body.is_empty() {
        let _ = write!(text, " {}", shown(&body));
    }
    if let Some(trailers) = message.trailers.as_ref().filter(|trailers| !trailers.is_empty()) {
        let _ = write!(text, " trailers [{}]", fields(trailers, side));
    }
    normalised(&text)
}

/// Framing is the codec's, and the date the connection manager's: the host ends before them.
fn fields(headers: &HeaderMap, side: Side) -> String {
    let shown = headers.iter().filter(|header| {
        let value = &header.value[..];
        match &header.name[..] {
            b"transfer-encoding" => value != b"chunked",
            b"content-length" => value != b"0",
            b"date" => side != Side::Client,
            b"connection" => side != Side::Client || value != b"close",
            // Of the runner itself, or put on by the connection manager.
            b"x-request-id" => !value.starts_with(b"00000000-0000-4000-8000-"),
            // The router's, whose part in callouts is not compared.
            b"x-envoy-internal" | b"x-envoy-expected-rq-timeout-ms" => side != Side::Service,
            name => !name.starts_with(b":"),
        }
    });
    let shown = shown.map(|h| format!("{}: {}", h.name.escape_ascii(), h.value.escape_ascii()));
    shown.collect::<Vec<_>>().join(", ")
}

fn shown(body: &Bytes) -> String {
    const WHOLE: usize = 256;
    const PART: usize = 32;
    if body.len() <= WHOLE {
        return format!("\"{}\"", body.escape_ascii());
    }
    let digest = hex::encode(Sha256::digest(body));
    let begin = body.get(..PART).unwrap_or_default().escape_ascii();
    format!("\"{begin}…\" ({} bytes, sha256 {}…)", body.len(), digest.get(..8).unwrap_or_default())
}

/// Puts a word in the place of what differs from run to run.
fn normalised(line: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let rules = [
            (r"(x-envoy-upstream-service-time(?:=|: ))\d+", "${1}N"),
            (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
            (r"(number (?:source|destination|upstream)\.port -> )\d+", "${1}PORT"),
            (r"(number connection(?:\.|_)id -> )\d+", "${1}ID"),
            // Envoy measures them; on virtual time some are zero.
            (
                r"(number (?:request\.duration|response\.backend_latency|upstream\.cx_pool_ready_duration) -> )\d+",
                "${1}NANOSECONDS",
            ),
            // Nanoseconds since 1970.
            (r"\b1[5-9]\d{17}\b", "TIME"),
        ];
        rules.into_iter().filter_map(|(rule, word)| Some((Regex::new(rule).ok()?, word))).collect()
    });
    RULES.iter().fold(line.to_owned(), |line, (rule, word)| rule.replace_all(&line, *word).into_owned())
}

/// What is left of the default timeout depends on how long the router waited.
fn of_further_attempt(request: &str) -> String {
    static REST: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(x-envoy-expected-rq-timeout-ms: )(?:15000|14\d{3})\b").ok());
    REST.as_ref().map_or_else(|| request.to_owned(), |rest| rest.replace(request, "${1}REST").into_owned())
}

/// The lines that differ, `-` for those expected and `+` for those found; `None` where the texts are equal.
pub fn difference(expected: &str, found: &str) -> Option<String> {
    if expected.trim_end() == found.trim_end() {
        return None;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let same = |(one, other): &(&&str, &&str)| one == other;
    let before = old.iter().zip(&new).take_while(same).count();
    let most = old.len().min(new.len()) - before;
    let after = old.iter().rev().zip(new.iter().rev()).take(most).take_while(same).count();
    let mut text = String::new();
    let mut lines = |sign: &str, lines: &[&str]| {
        for line in lines {
            let _ = writeln!(text, "  {sign} {line}");
        }
    };
    lines(" ", old.get(before.saturating_sub(2)..before).unwrap_or_default());
    lines("-", old.get(before..old.len() - after).unwrap_or_default());
    lines("+", new.get(before..new.len() - after).unwrap_or_default());
    Some(text)
}
