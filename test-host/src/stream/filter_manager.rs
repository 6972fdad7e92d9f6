//! The state machine that takes a stream through its filters: who is called next, with what, and what a stop means.
//!
//! The rules are those of Envoy's `source/common/http/filter_manager.cc`; its nested calls are a stack of work here.

use bytes::Bytes;

use super::{Action, MessageState};
use crate::message::{HeaderMap, Message};

/// A filter's place in the chain, counted from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct FilterIndex(pub usize);

/// Which way: the request's, or the response's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    Decode,
    Encode,
}

/// A part of a message. The data and headers themselves stand in the stream's [`MessageState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Headers { end_of_stream: bool },
    Data { end_of_stream: bool },
    Trailers,
}

/// What the owner is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Call a filter, then report its answer through [`FilterManager::answered`].
    Call { filter: FilterIndex, path: Path, part: Part },
    /// A part has passed all filters: to the router (decode) or to the client (encode). Data comes along.
    Forward { path: Path, part: Part, data: Bytes },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Iteration {
    #[default]
    Continue,
    /// Stopped, but still called with what follows.
    StopSingle,
    /// Stopped, and nothing is delivered.
    StopAll,
}

#[derive(Clone, Copy, Debug, Default)]
struct FilterState {
    iteration: Iteration,
    headers_continued: bool,
    ended: bool,
}

#[derive(Clone, Debug)]
enum Work {
    Headers { path: Path, at: usize, end_of_stream: bool },
    Data { path: Path, at: usize, data: Bytes, end_of_stream: bool },
    /// Data that waits when its turn comes.
    Waiting { path: Path, at: usize, end_of_stream: bool },
    Trailers { path: Path, at: usize },
}

/// The chain's state for one stream.
#[derive(Clone, Debug)]
pub struct FilterManager {
    pub request: MessageState,
    pub response: MessageState,
    filters: usize,
    decode: Vec<FilterState>,
    encode: Vec<FilterState>,
    /// The last entry is done first.
    work: Vec<Work>,
    called: Option<Work>,
    decode_aborted: bool,
    response_headers_sent: bool,
    closed: bool,
}

impl FilterManager {
    pub fn new(filters: usize) -> Self {
        FilterManager {
            request: MessageState::default(),
            response: MessageState::default(),
            filters,
            decode: vec![FilterState::default(); filters],
            encode: vec![FilterState::default(); filters],
            work: Vec::new(),
            called: None,
            decode_aborted: false,
            response_headers_sent: false,
            closed: false,
        }
    }

    pub fn message(&self, path: Path) -> &MessageState {
        match path {
            Path::Decode => &self.request,
            Path::Encode => &self.response,
        }
    }

    pub fn message_mut(&mut self, path: Path) -> &mut MessageState {
        match path {
            Path::Decode => &mut self.request,
            Path::Encode => &mut self.response,
        }
    }

    /// A whole message arrives at once, chunk by chunk: a body ends with an empty last piece, as HTTP/1 delivers it.
    pub fn receive(&mut self, path: Path, message: Message) {
        let Message { headers, body, trailers } = message;
        let has_body = !body.is_empty();
        self.message_mut(path).headers = Some(headers);
        self.receive_headers(path, !has_body && trailers.is_none());
        for chunk in body {
            self.receive_data(path, chunk, false);
        }
        match trailers {
            Some(trailers) => self.receive_trailers(path, trailers),
            None if has_body => self.receive_data(path, Bytes::new(), true),
            None => {}
        }
    }

    /// A message whose end does not come: headers and the chunks there are.
    pub fn receive_without_end(&mut self, path: Path, message: Message) {
        self.message_mut(path).headers = Some(message.headers);
        self.receive_headers(path, false);
        for chunk in message.body {
            self.receive_data(path, chunk, false);
        }
    }

    /// Headers arrive, from the client (decode) or from upstream (encode); they stand in the message already.
    pub fn receive_headers(&mut self, path: Path, end_of_stream: bool) {
        self.message_mut(path).complete = end_of_stream;
        self.push(Work::Headers { path, at: 0, end_of_stream });
    }

    pub fn receive_data(&mut self, path: Path, data: Bytes, end_of_stream: bool) {
        let message = self.message_mut(path);
        message.complete |= end_of_stream;
        message.bytes_received += data.len() as u64;
        self.push(Work::Data { path, at: 0, data, end_of_stream });
    }

    /// Trailers arrive, and with them the end.
    pub fn receive_trailers(&mut self, path: Path, trailers: HeaderMap) {
        let message = self.message_mut(path);
        message.complete = true;
        message.trailers = Some(trailers);
        self.push(Work::Trailers { path, at: 0 });
    }

    /// Gives up what the request still had to do: a local reply or an upstream response end has overtaken it.
    pub fn abort_decoding(&mut self) {
        self.decode_aborted = true;
        self.work.retain(|work| work.path() == Path::Encode);
    }

    /// Ends the stream: nothing moves any more.
    pub fn close(&mut self) {
        self.closed = true;
        self.work.clear();
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn response_headers_sent(&self) -> bool {
        self.response_headers_sent
    }

    /// A filter that stopped asks to go on. `false` where there is nothing to continue: it had not stopped, or the
    /// stream has been answered meanwhile.
    pub fn resume(&mut self, filter: FilterIndex, path: Path) -> bool {
        let at = self.position(filter, path);
        if self.closed || (path == Path::Decode && self.decode_aborted) {
            return false;
        }
        if self.state(path, at).iteration == Iteration::Continue {
            return false;
        }
        self.go_on_behind(path, at);
        true
    }

    /// Whether a filter holds the stream.
    pub fn is_stopped(&self, filter: FilterIndex, path: Path) -> bool {
        let at = self.position(filter, path);
        let states = if path == Path::Decode { &self.decode } else { &self.encode };
        states.get(at).is_some_and(|state| state.iteration != Iteration::Continue)
    }

    /// What to do next; `None` when the stream waits for something from outside.
    pub fn next_step(&mut self) -> Option<Step> {
        while let Some(work) = self.work.pop() {
            if let Some(step) = self.begin(work) {
                return Some(step);
            }
        }
        None
    }

    fn begin(&mut self, work: Work) -> Option<Step> {
        match work {
            Work::Headers { path, at, end_of_stream } => {
                if at == self.filters {
                    self.response_headers_sent |= path == Path::Encode;
                    return Some(Step::Forward { path, part: Part::Headers { end_of_stream }, data: Bytes::new() });
                }
                self.state(path, at).ended = end_of_stream;
                self.call(path, at, Part::Headers { end_of_stream }, work)
            }
            Work::Waiting { path, at, end_of_stream } => {
                let data = self.message_mut(path).waiting.take()?;
                self.begin(Work::Data { path, at, data, end_of_stream })
            }
            Work::Data { path, at, data, end_of_stream } => self.begin_data(path, at, data, end_of_stream),
            Work::Trailers { path, at } => {
                if at == self.filters {
                    return Some(Step::Forward { path, part: Part::Trailers, data: Bytes::new() });
                }
                if self.state(path, at).iteration == Iteration::StopAll {
                    return None;
                }
                self.state(path, at).ended = true;
                self.call(path, at, Part::Trailers, Work::Trailers { path, at })
            }
        }
    }

    fn begin_data(&mut self, path: Path, at: usize, data: Bytes, end_of_stream: bool) -> Option<Step> {
        if at == self.filters {
            return Some(Step::Forward { path, part: Part::Data { end_of_stream }, data });
        }
        if self.state(path, at).iteration == Iteration::StopAll {
            self.message_mut(path).keep(data);
            return None;
        }
        if self.state(path, at).ended {
            return None;
        }
        self.state(path, at).ended = end_of_stream;
        self.message_mut(path).chunk = Some(data);
        let work = Work::Data { path, at, data: Bytes::new(), end_of_stream };
        self.call(path, at, Part::Data { end_of_stream }, work)
    }

    fn call(&mut self, path: Path, at: usize, part: Part, work: Work) -> Option<Step> {
        self.called = Some(work);
        Some(Step::Call { filter: self.filter_at(path, at), path, part })
    }

    /// What the filter last called has answered. Effects of its callback (a local reply, a close) come before this.
    pub fn answered(&mut self, action: Action) {
        let Some(work) = self.called.take() else { return };
        let path = work.path();
        if self.closed || (path == Path::Decode && self.decode_aborted) {
            self.message_mut(path).chunk = None;
            return;
        }
        match work {
            Work::Headers { at, end_of_stream, .. } => self.after_headers(path, at, end_of_stream, action),
            Work::Data { at, end_of_stream, .. } => self.after_data(path, at, end_of_stream, action),
            Work::Trailers { at, .. } => self.after_trailers(path, at, action),
            Work::Waiting { .. } => {}
        }
    }

    fn after_headers(&mut self, path: Path, at: usize, end_of_stream: bool, action: Action) {
        let state = self.state(path, at);
        match action {
            Action::Continue => {
                state.iteration = Iteration::Continue;
                state.headers_continued = true;
                self.work.push(Work::Headers { path, at: at + 1, end_of_stream });
            }
            Action::StopIteration => state.iteration = Iteration::StopSingle,
            _ => state.iteration = Iteration::StopAll,
        }
    }

    fn after_data(&mut self, path: Path, at: usize, end_of_stream: bool, action: Action) {
        let chunk = self.message_mut(path).chunk.take().unwrap_or_default();
        let stopped_before = self.state(path, at).iteration == Iteration::StopSingle;
        match action {
            Action::Continue if stopped_before => {
                self.message_mut(path).keep(chunk);
                self.go_on_behind(path, at);
            }
            Action::Continue => {
                self.work.push(Work::Data { path, at: at + 1, data: chunk, end_of_stream });
            }
            Action::StopNoBuffer => {
                self.state(path, at).iteration = Iteration::StopSingle;
                let message = self.message_mut(path);
                if message.complete && message.trailers.is_none() && message.waiting.is_none() {
                    message.waiting = Some(Bytes::new());
                }
            }
            _ => {
                self.state(path, at).iteration = Iteration::StopSingle;
                self.message_mut(path).keep(chunk);
            }
        }
    }

    fn after_trailers(&mut self, path: Path, at: usize, action: Action) {
        let stopped_before = self.state(path, at).iteration == Iteration::StopSingle;
        match action {
            Action::Continue if stopped_before => self.go_on_behind(path, at),
            Action::Continue => self.work.push(Work::Trailers { path, at: at + 1 }),
            _ => self.state(path, at).iteration = Iteration::StopSingle,
        }
    }

    /// A stopped filter lets go: headers, then what waits, then trailers, from the next filter on; data and trailers that
    /// this one was not shown while everything was stopped begin at itself.
    fn go_on_behind(&mut self, path: Path, at: usize) {
        let state = self.state(path, at);
        let resume_at = if state.iteration == Iteration::StopAll { at } else { at + 1 };
        state.iteration = Iteration::Continue;
        let headers_held = !std::mem::replace(&mut state.headers_continued, true);
        let message = self.message(path);
        let (complete, waiting, trailers) = (message.complete, message.waiting.is_some(), message.trailers.is_some());
        if trailers && complete {
            self.work.push(Work::Trailers { path, at: resume_at });
        }
        if waiting {
            self.work.push(Work::Waiting { path, at: resume_at, end_of_stream: complete && !trailers });
        }
        if headers_held {
            let end_of_stream = complete && !waiting && !trailers;
            self.work.push(Work::Headers { path, at: at + 1, end_of_stream });
        }
    }

    /// New work from outside goes behind what is under way.
    fn push(&mut self, work: Work) {
        if self.closed || (work.path() == Path::Decode && self.decode_aborted) {
            return;
        }
        self.work.insert(0, work);
    }

    fn filter_at(&self, path: Path, at: usize) -> FilterIndex {
        match path {
            Path::Decode => FilterIndex(at),
            Path::Encode => FilterIndex(self.filters - 1 - at),
        }
    }

    fn position(&self, filter: FilterIndex, path: Path) -> usize {
        match path {
            Path::Decode => filter.0,
            Path::Encode => self.filters - 1 - filter.0,
        }
    }

    fn state(&mut self, path: Path, at: usize) -> &mut FilterState {
        match path {
            Path::Decode => &mut self.decode[at],
            Path::Encode => &mut self.encode[at],
        }
    }
}

impl Work {
    fn path(&self) -> Path {
        match self {
            Work::Headers { path, .. }
            | Work::Data { path, .. }
            | Work::Waiting { path, .. }
            | Work::Trailers { path, .. } => *path,
        }
    }
}
