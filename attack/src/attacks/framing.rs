//! Requests that two servers would cut at different places, and targets of other forms: without a credential, at a guarded place.

use super::{Attack, Attacks, Group, Must, good};
use crate::{gateway::Gateway, message::Message};

const RULE: &str = "RFC 9112, 6.3";

pub(super) fn add(attacks: &mut Attacks, gateway: &Gateway, now: u64) {
    let Some(provider) = gateway.providers.first() else { return };
    let place = provider.place.as_str();
    let public = gateway.public.as_deref().unwrap_or("/");
    let preflight = if gateway.bypass_preflight { Must::Pass } else { Must::Refuse };
    let mut add = |name: &str, must, message| {
        attacks.sent.push(Attack::new(Group::Framing, name, must, RULE, message));
    };
    for (name, message) in lengths(place, public).into_iter().chain(heads(place)).chain(hints(place, public))
    {
        add(name, Must::Refuse, message);
    }
    let asked = Message::get(place).method("OPTIONS").header("origin", "https://elsewhere.example");
    add("a preflight", preflight, asked.header("access-control-request-method", "GET"));
    add("OPTIONS *", Must::Either, Message::get("*").method("OPTIONS"));
    if let Some(known) = good(gateway, provider, Message::get(place), now) {
        add("te: trailers, with a good credential", Must::Pass, known.header("te", "trailers"));
    }
}

/// Bodies in which a second request hides.
fn lengths(place: &str, public: &str) -> Vec<(&'static str, Message)> {
    let inner = format!("GET {place} HTTP/1.1\r\nhost: x\r\n\r\n");
    let length = inner.len().to_string();
    let chunked = format!("0\r\n\r\n{inner}");
    let post = Message::get(public).method("POST");
    let long = |value: String| post.clone().header("content-length", value).body(inner.clone());
    let coded = |name: &str, value: &str| post.clone().header(name, value).body(chunked.clone());
    vec![
        (
            "content-length and transfer-encoding",
            coded("transfer-encoding", "chunked").header("content-length", length.as_str()),
        ),
        ("two content-lengths", long("0".to_owned()).header("content-length", length.as_str())),
        ("a list of content-lengths", long(format!("0, {length}"))),
        ("content-length with a sign", long(format!("+{length}"))),
        ("transfer-encoding twice chunked", coded("transfer-encoding", "chunked, chunked")),
        ("transfer-encoding of another kind", coded("transfer-encoding", "xchunked")),
        ("a space before the colon", coded("transfer-encoding ", "chunked")),
    ]
}

/// Heads that are none, or not of a plain GET.
fn heads(place: &str) -> Vec<(&'static str, Message)> {
    let get = Message::get(place);
    let upgrade = |to: &str| get.clone().header("connection", format!("upgrade, {to}")).header("upgrade", to);
    let websocket = upgrade("websocket").header("sec-websocket-key", "d2F5c2lkZXdheXNpZGU=");
    vec![
        ("a folded line", get.clone().header("x-folded", "a\r\n b")),
        ("two hosts", get.clone().header("host", "a").header("host", "b")),
        ("a bare line feed in a value", get.clone().header("x-a", "b\nx-api-key: c")),
        ("a zero byte in a value", get.clone().header("x-a", "b\0c")),
        ("a space in the target", Message::get(format!("{place} x"))),
        ("an authority with userinfo", get.clone().authority("root:root@shop.example")),
        ("the absolute form", Message::get(format!("http://shop.example{place}"))),
        ("HEAD", get.clone().method("HEAD")),
        ("a method nobody knows", get.clone().method("GUET")),
        ("the method in lower case", get.clone().method("get")),
        ("an upgrade to websocket", websocket.header("sec-websocket-version", "13")),
        ("an upgrade to h2c", upgrade("h2c").header("http2-settings", "AAMAAABkAAQAAP__")),
    ]
}

/// Headers that other software takes for the truth.
fn hints(place: &str, public: &str) -> Vec<(&'static str, Message)> {
    let get = Message::get(place);
    vec![
        ("te", get.clone().header("te", "trailers, chunked")),
        ("a method override to OPTIONS", get.clone().header("x-http-method-override", "OPTIONS")),
        (
            "x-original-url of a public path",
            get.clone().header("x-original-url", public).header("x-rewrite-url", public),
        ),
        ("x-envoy-original-path of a public path", get.clone().header("x-envoy-original-path", public)),
        (
            "x-forwarded-for of this machine",
            get.header("x-forwarded-for", "127.0.0.1").header("x-envoy-internal", "true"),
        ),
    ]
}
