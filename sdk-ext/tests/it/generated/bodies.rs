//! Any body, cut in any way, collected and edited: the same comes out however it was cut. The filter runs as Rust.

use arbitrary::{Arbitrary as _, Unstructured};
use std::fmt::Write as _;
use wayside::proxy::{End, Outcome};
use wayside::scenario;
use wayside_sdk_guests::bodies;

#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Of the response; otherwise of the request.
    pub(crate) response: bool,
    pub(crate) edited: bool,
    pub(crate) max: usize,
    pub(crate) parts: Vec<String>,
    pub(crate) trailers: bool,
}

pub(crate) fn case(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok((flags, max)) = <(u8, u8)>::arbitrary(&mut bytes) else { return };
    let mut parts = Vec::new();
    while let Ok(length) = u8::arbitrary(&mut bytes)
        && parts.len() < 20
    {
        let length = usize::from(length % 24).min(bytes.len());
        let text = bytes.bytes(length).unwrap_or_default();
        parts.push(text.iter().map(|byte| char::from(b'a'.saturating_add(byte % 26))).collect());
    }
    let bit = |bit: u8| flags & (1 << bit) != 0;
    let (response, edited, trailers) = (bit(0), bit(1), bit(2));
    check(&Body { response, edited, max: usize::from(max % 64), parts, trailers });
}

/// What Envoy never shows: an empty part that does not end the message.
pub(crate) fn check(body: &Body) {
    let parts: Vec<&String> = body.parts.iter().filter(|part| !part.is_empty()).collect();
    let whole: String = parts.iter().map(|part| part.as_str()).collect();
    let side = if body.response { "response_" } else { "" };
    let wish = format!("{side}{}", if body.edited { "upper" } else { "collect" });
    let mut text = format!(
        "about: A body cut anyhow.\nchain: [{{ module: bodies, config: {{ max: {} }} }}]\nexchanges: [{{ request: POST /, headers: ['x-do: {wish}'], {side}body: {parts:?}",
        body.max
    );
    if body.trailers && !parts.is_empty() {
        let _ = write!(text, ", {side}trailers: ['t: 1']");
    }
    text.push_str(" }]\n");
    let replay = scenario::natively(&text, &[("bodies", bodies::wayside_vm)])
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let outcome = replay.outcomes().next().unwrap_or_else(|| panic!("no outcome\n{text}"));
    let expected = match (whole.is_empty(), body.edited) {
        (true, _) | (_, false) => whole.clone(),
        (false, true) => format!("{}!", whole.to_ascii_uppercase()),
    };
    let fits = whole.len() <= body.max;
    let told =
        if body.response { response(outcome, fits, &expected) } else { request(outcome, fits, &expected) };
    if let Err(told) = told {
        panic!("{told}\n{body:?}\n{text}\n{outcome:?}");
    }
}

fn status(outcome: &Outcome) -> Option<Vec<u8>> {
    let response = outcome.downstream_response.as_ref()?;
    response.headers.first(&b":status"[..]).map(|status| status.to_vec())
}

fn request(outcome: &Outcome, fits: bool, expected: &str) -> Result<(), &'static str> {
    match &outcome.upstream_request {
        _ if outcome.end != End::Complete => Err("not complete"),
        Some(request) if fits && request.whole_body() == expected => Ok(()),
        // Headers had gone on, the body was held.
        Some(request) if !fits && request.body.is_empty() && request.trailers.is_none() => {
            let refused = outcome.details.as_deref() == Some(b"wayside.request_too_large");
            if refused && status(outcome).as_deref() == Some(b"413") { Ok(()) } else { Err("not 413") }
        }
        _ => Err("another body than was sent"),
    }
}

/// Its status is out before its body is seen: what is too large breaks it off.
fn response(outcome: &Outcome, fits: bool, expected: &str) -> Result<(), &'static str> {
    match &outcome.downstream_response {
        Some(response) if fits && outcome.end == End::Complete && response.whole_body() == expected => Ok(()),
        _ if !fits && outcome.end != End::Complete => Ok(()),
        _ => Err("another response than was to come"),
    }
}
