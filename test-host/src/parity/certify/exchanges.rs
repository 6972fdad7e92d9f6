//! Which exchanges can be compared, and their form that HTTP/1.1 can carry.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    message::{Connection, Exchange, Message, NoteKind, Timing},
    parity::live::wire,
};

/// What has less left than this is answered at once by filters that keep deadlines.
const FAILS_FAST: Duration = Duration::from_millis(5);
/// No machine is so busy that it takes longer for one exchange on loopback.
const SAFE: Duration = Duration::from_secs(1);

/// What the connection manager adds to every request. A tap records it; what was written by hand may lack it.
const ADDED: [(&str, &str); 3] = [
    ("x-forwarded-proto", "http"),
    ("x-request-id", "00000000-0000-4000-8000-000000000000"),
    ("x-envoy-internal", "true"),
];

/// One exchange, as both sides get it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The recording's own name for it, or another.
    pub name: String,
    pub exchange: Exchange,
    /// How long the upstream takes in Envoy. In the host it answers at once.
    pub after: Duration,
    /// Names of fields are written in capitals, which means nothing in HTTP.
    pub in_capitals: bool,
}

/// What there is to compare, and what was left out.
#[derive(Clone, Debug, Default)]
pub struct Cases {
    pub cases: Vec<Case>,
    /// Names by reason.
    pub excluded: BTreeMap<&'static str, Vec<String>>,
}

impl Cases {
    /// All of a recording.
    pub fn of(exchanges: impl IntoIterator<Item = Exchange>) -> Self {
        let mut cases = Cases::default();
        for exchange in exchanges {
            let name = exchange.id.to_string();
            cases.add(name, exchange);
        }
        cases
    }

    /// Adds an exchange, unless it cannot be compared; the case, where it was added.
    pub fn add(&mut self, name: String, exchange: Exchange) -> Option<&mut Case> {
        if let Some(reason) = not_comparable(&exchange) {
            self.excluded.entry(reason).or_default().push(name);
            return None;
        }
        let request = request_for_both(exchange.request);
        let response = exchange.response.map(|response| response_for_both(response, &request));
        let exchange = Exchange {
            request,
            response,
            answers: Vec::new(),
            // Envoy's upstream answers at once, so the host's does, too; one exchange is over before the next begins.
            timing: Timing::default(),
            connection: Connection::default(),
            notes: Vec::new(),
            ..exchange
        };
        self.cases.push(Case { name, exchange, after: Duration::ZERO, in_capitals: false });
        self.cases.last_mut()
    }

    /// Those that are compared and those that are not.
    pub fn total(&self) -> usize {
        self.cases.len() + self.excluded.values().map(Vec::len).sum::<usize>()
    }
}

impl Case {
    /// The request with its framing, which the connection manager takes off before the first filter.
    pub(super) fn on_the_wire(&self) -> Message {
        let mut request = self.exchange.request.clone();
        let has_content = !request.body.is_empty() || request.trailers.is_some();
        if has_content && !request.headers.contains(b"content-length") {
            request.headers.push("transfer-encoding", "chunked");
        }
        request
    }
}

/// Why an exchange cannot be replayed through a real Envoy to the same end.
fn not_comparable(exchange: &Exchange) -> Option<&'static str> {
    let noted = |kind| exchange.notes.iter().any(|note| note.kind == kind);
    let Some(response) = &exchange.response else {
        return Some("no response was recorded: the client left");
    };
    if !exchange.request.headers.contains(b":authority") {
        return Some("refused before the first filter: no request headers were recorded");
    }
    if noted(NoteKind::RequestIncomplete) || is_cut(&exchange.request) {
        return Some("the recorded request breaks off");
    }
    if noted(NoteKind::ResponseIncomplete) || (!is_to_head(&exchange.request) && is_cut(response)) {
        return Some("the recorded response breaks off");
    }
    if deadline(exchange).is_some_and(|deadline| FAILS_FAST < deadline && deadline < SAFE) {
        return Some("its deadline is one that a busy machine might not keep");
    }
    None
}

/// The tightest deadline of the request, as far as it can be read.
fn deadline(exchange: &Exchange) -> Option<Duration> {
    let text =
        |name: &[u8]| exchange.request.headers.first(name).and_then(|value| std::str::from_utf8(value).ok());
    let millis = text(b"x-envoy-expected-rq-timeout-ms")
        .unwrap_or_default()
        .split(',')
        .filter_map(|part| part.parse().ok());
    let grpc = text(b"grpc-timeout").and_then(|value| value.strip_suffix('m')?.parse().ok());
    millis.chain(grpc).min().map(Duration::from_millis)
}

fn is_cut(message: &Message) -> bool {
    let has_body =
        !matches!(message.headers.first(b":status").map(|status| &status[..]), Some(b"204" | b"304"));
    has_body && wire::content_length(&message.headers).is_some_and(|length| length != message.body_len())
}

fn request_for_both(mut request: Message) -> Message {
    // Envoy takes this header away and puts it back behind the others.
    if let Some(internal) = request.headers.first(b"x-envoy-internal").cloned() {
        request.headers.remove(b"x-envoy-internal");
        request.headers.push("x-envoy-internal", internal);
    }
    for (name, value) in ADDED {
        let is_external = name == "x-envoy-internal" && request.headers.contains(b"x-envoy-external-address");
        if !request.headers.contains(name.as_bytes()) && !is_external {
            request.headers.push(name, value);
        }
    }
    // Trailers go with chunks, whatever the length.
    if request.trailers.is_some() {
        request.headers.remove(b"content-length");
    }
    request
}

/// HTTP/1.1 tells where a body ends by headers, and filters see them. Where the recorded exchange went over HTTP/2 (gRPC),
/// which needs none, both sides get one more.
fn response_for_both(mut response: Message, request: &Message) -> Message {
    // The recorded router's count would make the host's properties say what Envoy, which makes one attempt here, does not.
    response.headers.remove(b"x-envoy-attempt-count");
    let status = response.headers.first(b":status").cloned().unwrap_or_default();
    if is_to_head(request) || matches!(&status[..], b"204" | b"304") || wire::is_chunked(&response.headers) {
        return response;
    }
    if response.trailers.is_some() {
        response.headers.remove(b"content-length");
    }
    if !response.headers.contains(b"content-length") {
        let is_empty = response.body.is_empty() && response.trailers.is_none();
        let (name, value) = if is_empty { ("content-length", "0") } else { ("transfer-encoding", "chunked") };
        response.headers.push(name, value);
    }
    response
}

fn is_to_head(request: &Message) -> bool {
    request.headers.first(b":method").is_some_and(|method| &method[..] == b"HEAD")
}
