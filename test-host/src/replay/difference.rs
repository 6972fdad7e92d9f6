//! What a replay changed against the recording: the request as the filters left it, and the response the client got.

use bytes::Bytes;

use crate::{
    message::{HeaderMap, Message},
    proxy::{End, Outcome},
};

/// Which part of an exchange differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
}

/// One header field that differs. Either side is empty where the field is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    pub name: Bytes,
    pub recorded: Vec<Bytes>,
    pub replayed: Vec<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The client's status.
    Status {
        recorded: Option<Bytes>,
        replayed: Option<Bytes>,
    },
    Field {
        place: Place,
        change: FieldChange,
    },
    /// Bodies differ: sizes in bytes.
    Body {
        place: Place,
        recorded: usize,
        replayed: usize,
    },
    /// The request no longer reaches the upstream.
    NotForwarded,
    /// The stream did not end as it had.
    End {
        replayed: End,
    },
}

impl Difference {
    /// Whether the client would notice: not the request's own headers on their way up.
    pub fn is_visible_to_client(&self) -> bool {
        match self {
            Difference::Status { .. } | Difference::NotForwarded | Difference::End { .. } => true,
            Difference::Field { place, .. } | Difference::Body { place, .. } => {
                *place >= Place::ResponseHeaders
            }
        }
    }

    /// All differences of one exchange, the request's first.
    pub fn all(outcome: &Outcome) -> Vec<Difference> {
        let mut found = Vec::new();
        let request = &outcome.exchange.request;
        match (&outcome.filtered_headers, &outcome.upstream_request) {
            (Some(headers), Some(sent)) => {
                fields(&mut found, Place::RequestHeaders, &request.headers, headers);
                rest(&mut found, [Place::RequestBody, Place::RequestTrailers], request, sent);
            }
            _ => found.push(Difference::NotForwarded),
        }
        let recorded = outcome.exchange.response.as_ref();
        let replayed = outcome.downstream_response.as_ref();
        let status = |message: Option<&Message>| message.and_then(|m| m.headers.first(b":status")).cloned();
        if status(recorded) != status(replayed) {
            found.push(Difference::Status { recorded: status(recorded), replayed: status(replayed) });
        }
        if let (Some(recorded), Some(replayed)) = (recorded, replayed) {
            fields(&mut found, Place::ResponseHeaders, &recorded.headers, &replayed.headers);
            rest(&mut found, [Place::ResponseBody, Place::ResponseTrailers], recorded, replayed);
        }
        let expected = if recorded.is_some() { End::Complete } else { End::Disconnected };
        if outcome.end != expected {
            found.push(Difference::End { replayed: outcome.end });
        }
        found
    }
}

fn rest(found: &mut Vec<Difference>, [body, trailers]: [Place; 2], recorded: &Message, replayed: &Message) {
    if recorded.whole_body() != replayed.whole_body() {
        found.push(Difference::Body {
            place: body,
            recorded: recorded.body_len(),
            replayed: replayed.body_len(),
        });
    }
    let empty = HeaderMap::new();
    let of = |message: &'_ Message| message.trailers.clone().unwrap_or_else(|| empty.clone());
    fields(found, trailers, &of(recorded), &of(replayed));
}

/// Fields whose list of values differs; `:status` has a place of its own.
fn fields(found: &mut Vec<Difference>, place: Place, recorded: &HeaderMap, replayed: &HeaderMap) {
    let mut names: Vec<&Bytes> = Vec::new();
    for header in recorded.iter().chain(replayed) {
        if &header.name[..] != b":status" && !names.contains(&&header.name) {
            names.push(&header.name);
        }
    }
    for name in names {
        let values = |map: &HeaderMap| map.all(name).cloned().collect::<Vec<_>>();
        let change =
            FieldChange { name: name.clone(), recorded: values(recorded), replayed: values(replayed) };
        if change.recorded != change.replayed {
            found.push(Difference::Field { place, change });
        }
    }
}
