//! The two encodings that everything in JOSE is written in, read strictly.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wayside_json::{Json, Limits};

/// Of headers, claims and key sets.
const LIMITS: Limits = Limits { depth: 8, fields: 64 };

/// Base64url without padding, whose unused bits are zero (RFC 7515 section 2, RFC 4648 section 3.5): one spelling for each content.
pub(super) fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A JSON object without a name that stands twice, at any depth.
pub(super) fn object(text: &[u8]) -> Option<Json> {
    wayside_json::parse(text, LIMITS).ok().filter(|json| matches!(json, Json::Object(_)))
}

/// A member that is a text.
pub(super) fn text<'j>(object: &'j Json, name: &str) -> Option<&'j str> {
    match object.get(name) {
        Some(Json::Text(text)) => Some(text),
        _ => None,
    }
}
