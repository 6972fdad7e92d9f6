//! Streams that were answered before the tap saw a request: Envoy records them as a segment with nothing in it, or a
//! buffered trace without a request, and the response. There is nothing to replay; each is told once.

use std::collections::{HashMap, HashSet};

use super::{draft::Spot, notes::Notes};
use crate::message::NoteKind;

/// Those of one proxy and direction.
#[derive(Debug, Default)]
pub(super) struct Refused {
    streamed: Vec<Streamed>,
    /// Which of `streamed` a trace id means at this point of the files.
    current: HashMap<u64, usize>,
    buffered: Vec<Buffered>,
}

#[derive(Debug)]
struct Streamed {
    spot: Spot,
    trace_id: u64,
    /// A response stands behind the empty segment.
    answered: bool,
}

#[derive(Debug)]
struct Buffered {
    spot: Spot,
    trace_id: Option<u64>,
}

impl Refused {
    /// A segment with a trace id and nothing else.
    pub(super) fn begin(&mut self, trace_id: u64, spot: Spot) {
        self.current.insert(trace_id, self.streamed.len());
        self.streamed.push(Streamed { spot, trace_id, answered: false });
    }

    /// A piece of a response. Whether it belongs to one of these streams.
    pub(super) fn answer(&mut self, trace_id: u64) -> bool {
        let stream = self.current.get(&trace_id).and_then(|index| self.streamed.get_mut(*index));
        stream.map(|stream| stream.answered = true).is_some()
    }

    /// The trace id begins an exchange of its own.
    pub(super) fn forget(&mut self, trace_id: u64) {
        self.current.remove(&trace_id);
    }

    /// A buffered trace with a response only.
    pub(super) fn buffered(&mut self, trace_id: Option<u64>, spot: Spot) {
        self.buffered.push(Buffered { spot, trace_id });
    }

    /// One note a stream: the buffered trace of a stream that a streamed one tells of already adds none.
    pub(super) fn tell(self, notes: &mut Notes) {
        let ids: HashSet<u64> = self.streamed.iter().map(|stream| stream.trace_id).collect();
        let mut twins = self.streamed.len();
        let alone = self.buffered.into_iter().filter(|trace| match trace.trace_id {
            Some(id) => !ids.contains(&id),
            // It has no trace id to be known by: as many as there are streamed ones are taken for theirs.
            None => twins.checked_sub(1).map(|left| twins = left).is_none(),
        });
        let alone: Vec<Spot> = alone.map(|trace| trace.spot).collect();
        let mut last = None;
        let told = self.streamed.into_iter().map(|stream| (stream.spot, stream.answered));
        for (spot, answered) in told.chain(alone.into_iter().map(|spot| (spot, true))) {
            if let Some(file) = last.replace(spot.file.clone()).filter(|file| *file != spot.file) {
                notes.end_of_file(file.display().to_string());
            }
            let (kind, text) = if answered {
                (NoteKind::RefusedBeforeFilters, ANSWERED)
            } else {
                (NoteKind::RecordSkipped, UNANSWERED)
            };
            notes.add_in_file(kind, spot.shown(), text.to_owned());
        }
        if let Some(file) = last {
            notes.end_of_file(file.display().to_string());
        }
    }
}

const ANSWERED: &str = "answered before any recorded filter saw the request, as the connection manager does with one that it \
                        refuses (HTTP/1.0, no host): not replayed";
const UNANSWERED: &str =
    "left out: found a stream with neither request nor response, expected a segment with a part of one";
