//! Exchanges that no tap can record or no client of the recording sends: `tests/data/parity/handmade.yaml`.

use std::{fs, path::Path};

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
    #[serde(default)]
    credentials: Option<Vec<(String, String)>>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: RawBody,
    trailers: Option<Vec<(String, String)>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawResponse {
    status: Option<u16>,
    headers: Vec<(String, String)>,
    body: RawBody,
    trailers: Option<Vec<(String, String)>>,
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

/// Name, request and response of each.
pub(super) fn load() -> Vec<(String, Message, Message)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parity/handmade.yaml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let entries: Vec<Entry> = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.into_iter().map(|entry| (entry.name, request(entry.request), response(entry.response))).collect()
}

fn request(raw: RawRequest) -> Message {
    let mut headers = HeaderMap::new();
    for (name, value) in [(":authority", raw.authority), (":path", raw.path), (":method", raw.method), (":scheme", "http".to_owned())] {
        headers.push(name, latin1(&value));
    }
    let demo_key = || vec![("x-api-key".to_owned(), DEMO_KEY.to_owned())];
    extend(&mut headers, &raw.headers);
    extend(&mut headers, &raw.credentials.unwrap_or_else(demo_key));
    // As the connection manager would add them, in its order.
    if !headers.contains(b"x-forwarded-proto") {
        headers.push("x-forwarded-proto", "http");
    }
    headers.push("x-envoy-internal", "true");
    if !headers.contains(b"x-request-id") {
        headers.push("x-request-id", "6b1f9f0c-4f5e-4c1a-9d57-3a3f5d1e7a10");
    }
    message(headers, raw.body, raw.trailers)
}

fn response(raw: RawResponse) -> Message {
    let mut headers = HeaderMap::new();
    headers.push(":status", raw.status.unwrap_or(200).to_string());
    extend(&mut headers, &raw.headers);
    message(headers, raw.body, raw.trailers)
}

fn message(headers: HeaderMap, body: RawBody, trailers: Option<Vec<(String, String)>>) -> Message {
    let bytes = match body {
        RawBody::Text(text) => latin1(&text),
        RawBody::Bytes(count) => (0_u8..=250).cycle().take(count).collect(),
    };
    let trailers = trailers.map(|fields| {
        let mut trailers = HeaderMap::new();
        extend(&mut trailers, &fields);
        trailers
    });
    Message { headers, body: bytes.chunks(16 << 10).map(Bytes::copy_from_slice).collect(), trailers }
}

fn extend(headers: &mut HeaderMap, fields: &[(String, String)]) {
    for (name, value) in fields {
        headers.push(latin1(name), latin1(value));
    }
}

/// A character is a byte: `\xff` in the file is the byte 0xFF.
fn latin1(text: &str) -> Bytes {
    let byte = |c: char| u8::try_from(u32::from(c)).unwrap_or_else(|_| panic!("{text:?} has a character that is no byte"));
    text.chars().map(byte).collect()
}
