//! Exchanges that no tap can record or no client of the recording sends: `tests/data/parity/handmade.yaml`.

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use wayside::message::{HeaderMap, Message};

/// Made up, and known to the example's configuration.
pub(super) const DEMO_KEY: &str = "demo-key-0001-not-a-secret";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    request: RawRequest,
    #[serde(default)]
    response: RawResponse,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    #[serde(default = "get")]
    method: String,
    path: String,
    #[serde(default = "bookshop")]
    authority: String,
    /// In the place of the demo key.
    credentials: Option<Vec<RawField>>,
    #[serde(default)]
    headers: Vec<RawField>,
    /// From somebody Envoy does not take for internal.
    #[serde(default)]
    external: bool,
    /// Names are written in capitals.
    #[serde(default)]
    in_capitals: bool,
    #[serde(default)]
    body: RawBody,
    trailers: Option<Vec<RawField>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawResponse {
    status: Option<u16>,
    /// How long the upstream takes in Envoy. In the replay it answers at once.
    after_ms: u64,
    headers: Vec<RawField>,
    body: RawBody,
    trailers: Option<Vec<RawField>>,
}

/// Name and value, or name and what is repeated so many times.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawField {
    Once(String, String),
    Repeated(String, String, usize),
}

/// Text, or so many bytes, in chunks of 16 KiB.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawBody {
    Text(String),
    Bytes(usize),
}

impl Default for RawBody {
    fn default() -> Self {
        RawBody::Bytes(0)
    }
}

fn get() -> String {
    "GET".to_owned()
}

fn bookshop() -> String {
    "bookshop".to_owned()
}

/// An exchange made by hand.
#[derive(Debug)]
pub(super) struct Handmade {
    pub(super) name: String,
    pub(super) in_capitals: bool,
    pub(super) request: Message,
    pub(super) response: Message,
    pub(super) after: Duration,
}

pub(super) fn load() -> Vec<Handmade> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parity/handmade.yaml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let entries: Vec<Entry> =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.into_iter().map(handmade).collect()
}

fn handmade(Entry { name, request, response }: Entry) -> Handmade {
    let in_capitals = request.in_capitals;
    let after = Duration::from_millis(response.after_ms);
    Handmade { name, in_capitals, request: request_of(request), response: response_of(response), after }
}

/// In the form that a first filter sees: with what the connection manager adds, in its order.
fn request_of(raw: RawRequest) -> Message {
    let mut headers = HeaderMap::new();
    headers.push(":authority", latin1(&raw.authority));
    headers.push(":path", latin1(&raw.path));
    headers.push(":method", latin1(&raw.method));
    headers.push(":scheme", "http");
    extend(&mut headers, &raw.headers);
    match &raw.credentials {
        Some(credentials) => extend(&mut headers, credentials),
        None => headers.push("x-api-key", DEMO_KEY),
    }
    if raw.external {
        headers.push("x-forwarded-for", "203.0.113.7");
    }
    headers.push("x-forwarded-proto", "http");
    headers.push("x-request-id", "6b1f9f0c-4f5e-4c1a-9d57-3a3f5d1e7a10");
    let (name, value) =
        if raw.external { ("x-envoy-external-address", "127.0.0.1") } else { ("x-envoy-internal", "true") };
    headers.push(name, value);
    message(headers, raw.body, raw.trailers.as_deref())
}

fn response_of(raw: RawResponse) -> Message {
    let mut headers = HeaderMap::new();
    headers.push(":status", raw.status.unwrap_or(200).to_string());
    extend(&mut headers, &raw.headers);
    headers.push("x-envoy-upstream-service-time", "0");
    message(headers, raw.body, raw.trailers.as_deref())
}

fn message(headers: HeaderMap, body: RawBody, trailers: Option<&[RawField]>) -> Message {
    let bytes = match body {
        RawBody::Text(text) => latin1(&text),
        RawBody::Bytes(count) => (0_u8..=250).cycle().take(count).collect(),
    };
    let trailers = trailers.map(|fields| {
        let mut trailers = HeaderMap::new();
        extend(&mut trailers, fields);
        trailers
    });
    Message { headers, body: bytes.chunks(16 << 10).map(Bytes::copy_from_slice).collect(), trailers }
}

fn extend(headers: &mut HeaderMap, fields: &[RawField]) {
    for field in fields {
        match field {
            RawField::Once(name, value) => headers.push(latin1(name), latin1(value)),
            RawField::Repeated(name, value, times) => {
                headers.push(latin1(name), latin1(&value.repeat(*times)))
            }
        }
    }
}

/// A character is a byte: `\xff` in the file is the byte 0xFF.
fn latin1(text: &str) -> Bytes {
    let byte = |c: char| {
        u8::try_from(u32::from(c)).unwrap_or_else(|_| panic!("{text:?} has a character that is no byte"))
    };
    text.chars().map(byte).collect()
}
