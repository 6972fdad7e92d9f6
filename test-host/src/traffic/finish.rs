//! Drafts → exchanges: put in order, numbered, and with notes on what the recording could not tell.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{draft::Part, join::Joined, limits::ByteSize, sources::Group};
use crate::message::{Exchange, ExchangeId, HeaderMap, Message, Note, NoteKind, Origin, Side};

/// The exchanges of one proxy and direction, in order of time. One without a time keeps its place behind the one that
/// stands in front of it.
pub(super) fn finish(group: &Group, drafts: Vec<Joined>, body_limit: ByteSize) -> Vec<Exchange> {
    let mut last = Duration::ZERO;
    let mut timed: Vec<_> = drafts
        .into_iter()
        .map(|joined| {
            last = joined.draft.timing.request_headers.unwrap_or(last);
            (last, joined)
        })
        .collect();
    timed.sort_by_key(|(time, _)| *time);
    let numbered = (1..=u32::MAX).zip(timed);
    numbered.map(|(number, (_, joined))| exchange(group, number, joined, body_limit)).collect()
}

fn exchange(group: &Group, number: u32, joined: Joined, body_limit: ByteSize) -> Exchange {
    let Joined { draft, streamed } = joined;
    let place = draft.spot.shown().into();
    let mut notes = Noting { place, notes: draft.notes };
    if !streamed {
        notes.add(
            NoteKind::HeadersAfterLaterFilters,
            "only a buffered trace: its headers show what later filters and the router changed",
        );
    }
    if draft.timing.request_headers.is_none() && draft.timing.response_headers.is_none() {
        notes.add(NoteKind::NoTimes, "the recording has no times");
    }
    notes.on(Side::Request, &draft.request, body_limit);
    if let Some(text) = shortfall(&draft.request) {
        notes.add(NoteKind::RequestIncomplete, format!("the request is not complete: {text}"));
    }
    match &draft.response {
        None => notes.add(NoteKind::ResponseIncomplete, "no response was recorded"),
        Some(response) => {
            notes.on(Side::Response, response, body_limit);
            if let Some(text) = shortfall(response).filter(|_| may_have_body(&draft.request, response)) {
                notes.add(NoteKind::ResponseIncomplete, format!("the response is not complete: {text}"));
            }
        }
    }
    Exchange {
        id: ExchangeId { proxy: group.proxy.clone(), direction: group.direction, number },
        origin: Origin {
            file: draft.spot.file.clone(),
            offset: draft.spot.at.offset(),
            trace_id: draft.trace_id.unwrap_or(0),
        },
        request: message(draft.request),
        response: draft.response.map(message),
        answers: Vec::new(),
        timing: draft.timing,
        connection: draft.connection,
        notes: notes.notes,
    }
}

fn message(part: Part) -> Message {
    let mut body = part.chunks;
    body.pop_if(|last| last.is_empty());
    Message { headers: part.headers, body, trailers: part.trailers }
}

struct Noting {
    place: Arc<str>,
    notes: Vec<Note>,
}

impl Noting {
    fn add(&mut self, kind: NoteKind, text: impl Into<Cow<'static, str>>) {
        self.notes.push(Note { kind, place: Arc::clone(&self.place), text: text.into() });
    }

    fn on(&mut self, side: Side, part: &Part, body_limit: ByteSize) {
        let (side, option) = match side {
            Side::Request => ("request", "max_buffered_rx_bytes"),
            Side::Response => ("response", "max_buffered_tx_bytes"),
        };
        if part.borders_lost {
            self.add(NoteKind::NoChunkBorders, format!("the {side} body is recorded in one piece"));
        }
        if part.cut {
            let text = format!(
                "the recorder cut the {side} body and kept {} bytes of it; raise `{option}` of the tap",
                part.recorded
            );
            self.add(NoteKind::BodyTruncatedByRecorder, text);
        }
        if part.kept < part.recorded {
            let text = format!(
                "kept {} of {} bytes of the {side} body (limit: {body_limit})",
                part.kept, part.recorded
            );
            self.add(NoteKind::BodyTruncatedByLimit, text);
        }
        if let Some(name) = &part.bang {
            let text = format!(
                "{side} header `{}` has a `!`: Envoy's taps write one for every byte of a header that is not UTF-8",
                name.escape_ascii()
            );
            self.add(NoteKind::BytesReplaced, text);
        }
        if part.blanks {
            let text = format!(
                "the {side} body is recorded as a string, where a blank stands for every byte that is not UTF-8; record with JSON_BODY_AS_BYTES"
            );
            self.add(NoteKind::BytesReplaced, text);
        }
    }
}

/// How much of the body is missing by the message's own account.
fn shortfall(part: &Part) -> Option<String> {
    let declared: u64 = str::from_utf8(part.headers.first(b"content-length")?).ok()?.parse().ok()?;
    let missing = !part.cut && part.recorded < declared;
    missing.then(|| format!("{} bytes of a body of {declared} (content-length) were recorded", part.recorded))
}

/// RFC 9110, section 8.6: these tell the length of a body that is not sent.
fn may_have_body(request: &Part, response: &Part) -> bool {
    let is = |headers: &HeaderMap, name: &[u8], value: &[u8]| headers.first(name).is_some_and(|v| v == value);
    !is(&request.headers, b":method", b"HEAD") && !is(&response.headers, b":status", b"304")
}
