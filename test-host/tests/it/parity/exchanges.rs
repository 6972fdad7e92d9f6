//! What is compared: the bundled recording's exchanges in a form that HTTP/1.1 can carry, and the hand-made ones.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use wayside::{
    message::{Connection, Direction, Exchange, ExchangeId, Message, NoteKind, Origin, Timing},
    traffic,
};

use super::{
    handmade::{self, Handmade},
    wire::{self, Spelling},
};

/// The name of the one proxy they all go through.
const PROXY: &str = "parity";

/// What has less left than this is answered at once (`min_budget`'s default).
const FAILS_FAST: Duration = Duration::from_millis(5);
/// No machine is so busy that it takes longer for one exchange on loopback.
const SAFE: Duration = Duration::from_secs(1);

/// One exchange, as both sides get it.
#[derive(Debug)]
pub(super) struct Case {
    /// The recording's own name for it, or the hand-made one's.
    pub(super) name: String,
    /// The request as it is written to Envoy.
    pub(super) wire: Message,
    pub(super) spelling: Spelling,
    /// How long the upstream takes.
    pub(super) after: Duration,
    pub(super) exchange: Exchange,
}

/// What there is to compare, and what was left out.
#[derive(Debug, Default)]
pub(super) struct Cases {
    pub(super) cases: Vec<Case>,
    /// Names by reason.
    pub(super) excluded: BTreeMap<&'static str, Vec<String>>,
}

impl Cases {
    /// The bundled recording, proxy by proxy, then what is made by hand.
    pub(super) fn load() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let recording = traffic::load(&[folder.join("recordings/bookshop")], &traffic::Limits::default());
        let recording = recording.expect("the bundled recording is sound");
        let mut cases = Cases::default();
        for exchange in recording.exchanges {
            let name = exchange.id.to_string();
            if let Some(admitted) = with_the_demo_key(&exchange) {
                cases.add(format!("{name}+key"), admitted);
            }
            cases.add(name, exchange);
        }
        for Handmade { name, spelling, request, response, after } in handmade::load() {
            cases.add(format!("handmade/{name}"), handmade_exchange(request, response));
            let case = cases.cases.last_mut().expect("hand-made exchanges are comparable");
            (case.spelling, case.after) = (spelling, after);
        }
        cases
    }

    fn add(&mut self, name: String, exchange: Exchange) {
        if let Some(reason) = not_comparable(&exchange) {
            return self.excluded.entry(reason).or_default().push(name);
        }
        let number = u32::try_from(self.cases.len() + 1).expect("few exchanges");
        let request = request_for_both(exchange.request);
        let response = exchange.response.map(|response| response_for_both(response, &request));
        let exchange = Exchange {
            id: ExchangeId { proxy: Arc::from(PROXY), direction: Direction::Unspecified, number },
            origin: exchange.origin,
            request,
            response,
            // Envoy's upstream answers at once, so the replay's does, too; one exchange is over before the next begins.
            timing: Timing::default(),
            connection: Connection::default(),
            notes: Vec::new(),
        };
        let wire = request_on_the_wire(exchange.request.clone());
        self.cases.push(Case { name, wire, spelling: Spelling::LowerCase, after: Duration::ZERO, exchange });
    }

    pub(super) fn total(&self) -> usize {
        self.cases.len() + self.excluded.values().map(Vec::len).sum::<usize>()
    }
}

/// Most recorded clients show no credentials, and are turned away by the example's configuration; with them, their
/// exchanges reach the upstream.
fn with_the_demo_key(exchange: &Exchange) -> Option<Exchange> {
    let headers = &exchange.request.headers;
    if headers.contains(b"x-api-key") || headers.contains(b"authorization") || headers.is_empty() {
        return None;
    }
    let mut admitted = exchange.clone();
    admitted.request.headers.push("x-api-key", handmade::DEMO_KEY);
    Some(admitted)
}

fn handmade_exchange(request: Message, response: Message) -> Exchange {
    Exchange {
        id: ExchangeId { proxy: Arc::from(PROXY), direction: Direction::Unspecified, number: 0 },
        origin: Origin { file: "handmade.yaml".into(), offset: 0, trace_id: 0 },
        request,
        response: Some(response),
        timing: Timing::default(),
        connection: Connection::default(),
        notes: Vec::new(),
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
    // Trailers go with chunks, whatever the length.
    if request.trailers.is_some() {
        request.headers.remove(b"content-length");
    }
    request
}

/// The connection manager takes this header off before the first filter: the replay's filters never see it.
fn request_on_the_wire(mut request: Message) -> Message {
    let has_content = !request.body.is_empty() || request.trailers.is_some();
    if has_content && !request.headers.contains(b"content-length") {
        request.headers.push("transfer-encoding", "chunked");
    }
    request
}

/// HTTP/1.1 tells where a body ends by headers, and filters see them. Where the recorded exchange went over HTTP/2 (gRPC),
/// which needs none, both sides get one more.
fn response_for_both(mut response: Message, request: &Message) -> Message {
    // The recorded router's count would make the replay's properties say what Envoy, which makes one attempt here, does not.
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
