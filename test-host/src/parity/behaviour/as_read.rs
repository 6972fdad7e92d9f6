//! What an HTTP/1 client makes of an answer: the host ends before the codec, a client reads by its rules.

use super::seen::SeenByClient;
use crate::{message::Message, parity::live::wire};

/// How a client reads a whole answer.
pub(super) fn as_read(mut answer: Message) -> SeenByClient {
    let status = answer.headers.first(b":status").cloned().unwrap_or_default();
    match &status[..] {
        b"204" | b"304" => {
            (answer.body, answer.trailers) = (Vec::new(), None);
            return SeenByClient::Answer(answer);
        }
        [b'2'..=b'9', b'0'..=b'9', b'0'..=b'9'] => {}
        // Interim, or no status line at all.
        _ => return SeenByClient::Reset,
    }
    let Some(length) = wire::content_length(&answer.headers) else {
        return SeenByClient::Answer(answer);
    };
    let body = answer.whole_body();
    // Without a body it may be an answer to HEAD.
    if body.is_empty() || body.len() == length {
        SeenByClient::Answer(answer)
    } else if body.len() > length {
        answer.body = vec![body.slice(..length)];
        SeenByClient::Answer(answer)
    } else {
        SeenByClient::GaveUp
    }
}

/// How a client reads an answer that breaks off: of a body of known length nothing is taken before its end.
pub(super) fn part_as_read(mut answer: Message) -> SeenByClient {
    if wire::content_length(&answer.headers).is_some() {
        answer.body = Vec::new();
    }
    SeenByClient::Part(answer)
}
