//! Records → drafts of exchanges, by proxy and direction. Segments of one stream find one another by its trace id, however
//! many other streams lie between them.

use std::collections::{BTreeMap, HashMap};

use super::{
    TrafficError,
    draft::{Draft, Part, Spot},
    join,
    limits::{Budget, ENTRY_OVERHEAD},
    notes::Notes,
    proto::{Body, BufferedMessage, HttpStreamedTraceSegment, TraceWrapper},
    refused::Refused,
    sources::{Group, Named},
    tcp::Sockets,
};
use crate::message::{Note, NoteKind, RecordedConnection};

/// What one proxy recorded in one direction.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) streamed: Vec<Draft>,
    pub(super) buffered: Vec<Draft>,
    /// The streamed draft that a trace id means at this point of the files.
    current: HashMap<u64, usize>,
    refused: Refused,
}

#[derive(Debug)]
pub(super) struct Assembly {
    groups: BTreeMap<Group, Drafts>,
    sockets: Sockets,
    budget: Budget,
}

/// Lost segments that are told of an exchange; all are told of the file.
const MOST_LOST: usize = 3;

/// Why a record was not used: the text of a note.
pub(super) type Unused = String;

impl Assembly {
    pub(super) fn new(budget: Budget) -> Self {
        Self { groups: BTreeMap::new(), sockets: Sockets::default(), budget }
    }

    /// Memory for what is kept beside exchanges.
    pub(super) fn take(&mut self, bytes: u64, spot: &Spot) -> Result<(), TrafficError> {
        self.budget.take(bytes, &spot.file, spot.at)
    }

    /// Uses a record, or says why it is of no use. `whole`: nothing in it was unknown.
    pub(super) fn add(
        &mut self,
        trace: TraceWrapper,
        named: &Named,
        spot: &Spot,
        whole: bool,
    ) -> Result<Result<(), Unused>, TrafficError> {
        let kinds = [
            trace.http_buffered_trace.is_some(),
            trace.http_streamed_trace_segment.is_some(),
            trace.socket_buffered_trace.is_some(),
            trace.socket_streamed_trace_segment.is_some(),
        ];
        if kinds.iter().filter(|found| **found).count() > 1 {
            return Ok(Err("found several traces in one record".to_owned()));
        }
        if let Some(trace) = trace.socket_buffered_trace {
            return self.sockets.buffered(trace, named, spot, &mut self.budget);
        }
        if let Some(segment) = trace.socket_streamed_trace_segment {
            return self.sockets.segment(segment, named, spot, &mut self.budget);
        }
        let drafts = self.groups.entry(named.group.clone()).or_default();
        match (trace.http_buffered_trace, trace.http_streamed_trace_segment) {
            (Some(trace), None) => {
                let has_headers = |message: &Option<BufferedMessage>| {
                    message.as_ref().is_some_and(|message| !message.headers.is_empty())
                };
                if !has_headers(&trace.request) {
                    if trace.request.is_none() && has_headers(&trace.response) && whole {
                        self.budget.take(ENTRY_OVERHEAD, &spot.file, spot.at)?;
                        drafts.refused.buffered(named.trace_id, spot.clone());
                        return Ok(Ok(()));
                    }
                    return Ok(Err("found a buffered trace without request headers".to_owned()));
                }
                self.budget.take_exchange(&spot.file, spot.at)?;
                let draft = Draft::buffered(trace, spot.clone(), named.trace_id, &mut self.budget)?;
                drafts.buffered.push(draft);
                Ok(Ok(()))
            }
            (None, Some(segment)) => drafts.segment(segment, spot, whole, &mut self.budget),
            _ => Ok(Err("found a record with no trace in it".to_owned())),
        }
    }

    /// Puts a note on the stream that a lost segment belongs to, where it has begun.
    pub(super) fn lost(&mut self, named: &Named, trace_id: u64, note: Note) {
        let drafts = self.groups.get_mut(&named.group);
        let draft = drafts.and_then(|drafts| drafts.streamed.get_mut(*drafts.current.get(&trace_id)?));
        if let Some(draft) = draft.filter(|draft| draft.notes.len() < MOST_LOST) {
            draft.notes.push(note);
        }
    }

    /// What was recorded of TCP connections.
    pub(super) fn take_connections(&mut self, notes: &mut Notes) -> Vec<RecordedConnection> {
        std::mem::take(&mut self.sockets).into_connections(notes)
    }

    /// Ends the assembly: one draft for each exchange, and a note for each stream that is none.
    pub(super) fn into_joined(self, notes: &mut Notes) -> impl Iterator<Item = (Group, Vec<join::Joined>)> {
        self.groups.into_iter().map(|(group, mut drafts)| {
            std::mem::take(&mut drafts.refused).tell(notes);
            (group, join::join(drafts))
        })
    }
}

/// Which part of the request or response a segment is.
enum Piece {
    RequestHeaders(super::proto::HeaderMap),
    RequestBody(Body),
    RequestTrailers(super::proto::HeaderMap),
    ResponseHeaders(super::proto::HeaderMap),
    ResponseBody(Body),
    ResponseTrailers(super::proto::HeaderMap),
}

impl Piece {
    fn of_response(&self) -> bool {
        matches!(self, Piece::ResponseHeaders(_) | Piece::ResponseBody(_) | Piece::ResponseTrailers(_))
    }
}

/// `None`: there is none.
fn only_piece(segment: HttpStreamedTraceSegment) -> Result<Option<Piece>, Unused> {
    let pieces = [
        segment.request_headers.map(Piece::RequestHeaders),
        segment.request_body_chunk.map(Piece::RequestBody),
        segment.request_trailers.map(Piece::RequestTrailers),
        segment.response_headers.map(Piece::ResponseHeaders),
        segment.response_body_chunk.map(Piece::ResponseBody),
        segment.response_trailers.map(Piece::ResponseTrailers),
    ];
    let mut found = pieces.into_iter().flatten();
    match (found.next(), found.count()) {
        (piece, 0) => Ok(piece),
        (_, others) => Err(format!(
            "found {} message pieces in segment of trace {}, expected one",
            others.saturating_add(1),
            segment.trace_id
        )),
    }
}

impl Drafts {
    fn segment(
        &mut self,
        segment: HttpStreamedTraceSegment,
        spot: &Spot,
        whole: bool,
        budget: &mut Budget,
    ) -> Result<Result<(), Unused>, TrafficError> {
        let id = segment.trace_id;
        let piece = match only_piece(segment) {
            Ok(Some(piece)) => piece,
            Ok(None) if whole && !self.current.contains_key(&id) => {
                budget.take(ENTRY_OVERHEAD, &spot.file, spot.at)?;
                self.refused.begin(id, spot.clone());
                return Ok(Ok(()));
            }
            Ok(None) => return Ok(Err(format!("found no message piece in segment of trace {id}"))),
            Err(unused) => return Ok(Err(unused)),
        };
        if piece.of_response() && self.refused.answer(id) {
            return Ok(Ok(()));
        }
        if let Piece::RequestHeaders(block) = piece {
            self.begin(id, spot, budget)?.request.set_headers(block.headers, spot, budget)?;
            return Ok(Ok(()));
        }
        let Some(draft) = self.current.get(&id).and_then(|index| self.streamed.get_mut(*index)) else {
            return Ok(Err(format!(
                "found a segment of trace {id}, whose request headers are not in the recording"
            )));
        };
        let (part, what) = match &piece {
            Piece::RequestHeaders(_) | Piece::RequestBody(_) | Piece::RequestTrailers(_) => {
                (Some(&mut draft.request), "request")
            }
            Piece::ResponseHeaders(_) if draft.response.is_none() => {
                (Some(draft.response.insert(Part::default())), "response")
            }
            Piece::ResponseHeaders(_) => {
                return Ok(Err(format!("found a second block of response headers in trace {id}")));
            }
            Piece::ResponseBody(_) | Piece::ResponseTrailers(_) => (draft.response.as_mut(), "response"),
        };
        let Some(part) = part else {
            return Ok(Err(format!(
                "found a {what} segment of trace {id} in front of the response's headers"
            )));
        };
        match piece {
            Piece::RequestHeaders(block) | Piece::ResponseHeaders(block) => {
                part.set_headers(block.headers, spot, budget)?;
            }
            _ if part.trailers.is_some() => {
                return Ok(Err(format!("found a {what} segment of trace {id} behind the {what}'s trailers")));
            }
            Piece::RequestBody(body) | Piece::ResponseBody(body) => part.push_body(body, spot, budget)?,
            Piece::RequestTrailers(block) | Piece::ResponseTrailers(block) => {
                part.set_trailers(block.headers, spot, budget)?;
            }
        }
        Ok(Ok(()))
    }

    /// A new exchange. Where the trace id had one already, that one is over: Envoy's ids can repeat.
    fn begin(&mut self, id: u64, spot: &Spot, budget: &mut Budget) -> Result<&mut Draft, TrafficError> {
        budget.take_exchange(&spot.file, spot.at)?;
        let mut draft = Draft::new(spot.clone(), Some(id));
        self.refused.forget(id);
        if self.current.insert(id, self.streamed.len()).is_some() {
            let text = format!("trace id {id} was there before: taken for another exchange");
            draft.notes.push(Note {
                kind: NoteKind::TraceIdReused,
                place: spot.shown().into(),
                text: text.into(),
            });
        }
        Ok(self.streamed.push_mut(draft))
    }
}
