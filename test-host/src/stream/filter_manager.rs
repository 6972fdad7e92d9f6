//! The state machine that takes a stream through its filters: who is called next, with what, and what a stop means.
//!
//! The rules are those of Envoy's `source/common/http/filter_manager.cc`; its nested calls are a stack of work here.

use std::collections::VecDeque;

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
    /// A filter buffers more than [`BUFFER_MAX`]: the message goes no further.
    TooLarge { path: Path },
}

/// What a filter may have buffered: Envoy's default for `per_connection_buffer_limit_bytes`. Data that waits with
/// back-pressure instead has no limit here.
pub const BUFFER_MAX: usize = 1024 * 1024;

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
    /// It was shown headers that are the whole message.
    headers_only: bool,
    /// It was shown the end, be it headers, data or trailers.
    ended: bool,
    /// What waits at it counts against the limit.
    limited: bool,
    /// The last data came and waits at it.
    holds_end: bool,
    /// Trailers came and wait at it.
    holds_trailers: bool,
}

#[derive(Clone, Debug)]
enum Work {
    Headers {
        path: Path,
        at: usize,
        end_of_stream: bool,
    },
    Data {
        path: Path,
        at: usize,
        data: Bytes,
        end_of_stream: bool,
    },
    Trailers {
        path: Path,
        at: usize,
    },
    /// An answer that comes behind what its filter set going while it was called, with the data it had been shown.
    Answer {
        called: Box<Called>,
        action: Action,
        chunk: Option<Bytes>,
    },
}

/// A part that has reached the proxy and not yet the first filter.
#[derive(Clone, Debug)]
enum Arrival {
    Headers { end_of_stream: bool },
    Data { data: Bytes, end_of_stream: bool },
    Trailers(HeaderMap),
}

/// A filter that is being called.
#[derive(Clone, Debug)]
struct Called {
    work: Work,
    /// How much work lies below: what the filter sets going meanwhile lies above.
    below: usize,
    had_trailers: bool,
    resumed: bool,
}

/// The chain's state for one stream.
#[derive(Clone, Debug)]
pub struct FilterManager {
    pub request: MessageState,
    pub response: MessageState,
    filters: usize,
    decode: Vec<FilterState>,
    encode: Vec<FilterState>,
    arrivals: VecDeque<(Path, Arrival)>,
    /// The last entry is done first, and all of it before the next arrival.
    work: Vec<Work>,
    called: Option<Called>,
    decode_aborted: bool,
    too_large: Option<Step>,
    /// The end of the request, of the response, has been passed on.
    forwarded_end: [bool; 2],
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
            arrivals: VecDeque::new(),
            work: Vec::new(),
            called: None,
            decode_aborted: false,
            too_large: None,
            forwarded_end: [false; 2],
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
        self.arrive(path, Arrival::Headers { end_of_stream });
    }

    pub fn receive_data(&mut self, path: Path, data: Bytes, end_of_stream: bool) {
        self.arrive(path, Arrival::Data { data, end_of_stream });
    }

    /// Trailers arrive, and with them the end.
    pub fn receive_trailers(&mut self, path: Path, trailers: HeaderMap) {
        self.arrive(path, Arrival::Trailers(trailers));
    }

    fn arrive(&mut self, path: Path, arrival: Arrival) {
        if !self.is_over(path) {
            self.arrivals.push_back((path, arrival));
        }
    }

    /// Only now does the message have this part: filters that looked before it did not see it.
    fn take_arrival(&mut self) -> Option<Work> {
        let (path, arrival) = self.arrivals.pop_front()?;
        let message = self.message_mut(path);
        Some(match arrival {
            Arrival::Headers { end_of_stream } => {
                message.complete |= end_of_stream;
                Work::Headers { path, at: 0, end_of_stream }
            }
            Arrival::Data { data, end_of_stream } => {
                message.bytes_received += data.len() as u64;
                message.complete |= end_of_stream;
                Work::Data { path, at: 0, data, end_of_stream }
            }
            Arrival::Trailers(trailers) => {
                message.trailers = Some(trailers);
                message.complete = true;
                Work::Trailers { path, at: 0 }
            }
        })
    }

    /// Gives up what the request still had to do: a local reply or an upstream response end has overtaken it.
    pub fn abort_decoding(&mut self) {
        self.decode_aborted = true;
        self.work.retain(|work| work.path() == Path::Encode);
        self.arrivals.retain(|(path, _)| *path == Path::Encode);
    }

    fn is_over(&self, path: Path) -> bool {
        self.closed || (path == Path::Decode && self.decode_aborted)
    }

    /// Ends the stream: nothing moves any more.
    pub fn close(&mut self) {
        self.closed = true;
        self.work.clear();
        self.arrivals.clear();
        self.too_large = None;
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn response_headers_sent(&self) -> bool {
        self.response_headers_sent
    }

    /// A filter that stopped asks to go on, or one that is being called and has yet to answer. `false` where there is
    /// nothing to continue: it had not stopped, or the stream has been answered meanwhile.
    pub fn resume(&mut self, filter: FilterIndex, path: Path) -> bool {
        let at = self.position(filter, path);
        if self.is_over(path) {
            return false;
        }
        let stopped = self.state(path, at).iteration != Iteration::Continue;
        let in_call = self.called.as_mut().filter(|called| called.work.is_at(path, at));
        let Some(called) = in_call else {
            if stopped {
                self.go_on_behind(path, at);
            }
            return stopped;
        };
        called.resumed = true;
        let (data, trailers) =
            (matches!(called.work, Work::Data { .. }), matches!(called.work, Work::Trailers { .. }));
        self.state(path, at).holds_trailers |= trailers;
        let goes_on = stopped || !data;
        if goes_on {
            self.go_on_behind(path, at);
        }
        goes_on
    }

    /// Whether a filter is being called with a part of the request.
    pub fn is_decoding(&self) -> bool {
        self.called.as_ref().is_some_and(|called| called.work.path() == Path::Decode)
    }

    /// Whether a filter holds the stream.
    pub fn is_stopped(&self, filter: FilterIndex, path: Path) -> bool {
        let at = self.position(filter, path);
        let states = if path == Path::Decode { &self.decode } else { &self.encode };
        states.get(at).is_some_and(|state| state.iteration != Iteration::Continue)
    }

    /// What to do next; `None` when the stream waits for something from outside.
    pub fn next_step(&mut self) -> Option<Step> {
        if let Some(step) = self.too_large.take() {
            return Some(step);
        }
        loop {
            let work = match self.work.pop() {
                Some(work) => work,
                None => self.take_arrival()?,
            };
            if let Some(step) = self.begin(work) {
                return Some(step);
            }
        }
    }

    fn begin(&mut self, work: Work) -> Option<Step> {
        match work {
            Work::Headers { path, at, end_of_stream } => {
                if at == self.filters {
                    self.response_headers_sent |= path == Path::Encode;
                    return self.forward(path, Part::Headers { end_of_stream }, Bytes::new());
                }
                let state = self.state(path, at);
                (state.ended, state.headers_only) = (end_of_stream, end_of_stream);
                self.call(path, at, Part::Headers { end_of_stream }, work)
            }
            Work::Data { path, at, data, end_of_stream } => self.begin_data(path, at, data, end_of_stream),
            Work::Trailers { path, at } => {
                if at == self.filters {
                    return self.forward(path, Part::Trailers, Bytes::new());
                }
                let state = self.state(path, at);
                if state.iteration == Iteration::StopAll {
                    state.holds_trailers = true;
                    return None;
                }
                state.ended = true;
                self.call(path, at, Part::Trailers, Work::Trailers { path, at })
            }
            Work::Answer { called, action, chunk } => {
                self.message_mut(called.work.path()).chunk = chunk;
                self.act_on(*called, action);
                None
            }
        }
    }

    /// Passes a part on, unless the end has been passed on before.
    fn forward(&mut self, path: Path, part: Part, data: Bytes) -> Option<Step> {
        let over = &mut self.forwarded_end[path as usize];
        if *over {
            return None;
        }
        *over = matches!(
            part,
            Part::Trailers | Part::Headers { end_of_stream: true } | Part::Data { end_of_stream: true }
        );
        Some(Step::Forward { path, part, data })
    }

    fn begin_data(&mut self, path: Path, at: usize, data: Bytes, end_of_stream: bool) -> Option<Step> {
        if at == self.filters {
            return self.forward(path, Part::Data { end_of_stream }, data);
        }
        if self.state(path, at).iteration == Iteration::StopAll {
            self.state(path, at).holds_end |= end_of_stream;
            self.message_mut(path).keep(data);
            return self.overflow(path, at, 0);
        }
        if let Some(step) = self.overflow(path, at, data.len()) {
            return Some(step);
        }
        if self.state(path, at).ended {
            return None;
        }
        self.state(path, at).ended = end_of_stream;
        self.message_mut(path).chunk = Some(data);
        let work = Work::Data { path, at, data: Bytes::new(), end_of_stream };
        self.call(path, at, Part::Data { end_of_stream }, work)
    }

    /// What a filter has buffered, with this many bytes more, is too much.
    fn overflow(&mut self, path: Path, at: usize, more: usize) -> Option<Step> {
        let waiting = self.message(path).waiting.as_ref().map_or(0, Bytes::len);
        (self.state(path, at).limited && waiting + more > BUFFER_MAX).then_some(Step::TooLarge { path })
    }

    fn call(&mut self, path: Path, at: usize, part: Part, work: Work) -> Option<Step> {
        let had_trailers = self.message(path).trailers.is_some();
        self.called = Some(Called { work, below: self.work.len(), had_trailers, resumed: false });
        Some(Step::Call { filter: self.filter_at(path, at), path, part })
    }

    /// What the filter last called has answered. Effects of its callback (a local reply, a close, a continue) come before
    /// this. `false`: it has asked to go on and answered to continue too, where Envoy runs the rest of the chain twice; it
    /// is run once here.
    pub fn answered(&mut self, action: Action) -> bool {
        let Some(called) = self.called.take() else {
            return true;
        };
        let path = called.work.path();
        if self.is_over(path) {
            self.message_mut(path).chunk = None;
            return true;
        }
        if called.resumed && action == Action::Continue && !matches!(called.work, Work::Data { .. }) {
            return false;
        }
        if self.work.len() > called.below {
            let chunk = self.message_mut(path).chunk.take();
            let below = called.below;
            self.work.insert(below, Work::Answer { called: Box::new(called), action, chunk });
        } else {
            self.act_on(called, action);
        }
        true
    }

    fn act_on(&mut self, called: Called, action: Action) {
        let Called { work, had_trailers, .. } = called;
        let path = work.path();
        match work {
            Work::Headers { at, end_of_stream, .. } => self.after_headers(path, at, end_of_stream, action),
            Work::Data { at, end_of_stream, .. } => {
                let added_trailers = end_of_stream && !had_trailers && self.message(path).trailers.is_some();
                // Trailers that a filter added with the last data are shown to the filters behind it.
                self.state(path, at).holds_trailers |= added_trailers;
                let end_of_stream = end_of_stream && !added_trailers;
                self.after_data(path, at, end_of_stream, action);
            }
            Work::Trailers { at, .. } => self.after_trailers(path, at, action),
            Work::Answer { .. } => {}
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
            _ => (state.iteration, state.limited) = (Iteration::StopAll, action == Action::StopAllAndBuffer),
        }
    }

    fn after_data(&mut self, path: Path, at: usize, end_of_stream: bool, action: Action) {
        let chunk = self.message_mut(path).chunk.take().unwrap_or_default();
        let stopped_before = self.state(path, at).iteration == Iteration::StopSingle;
        match action {
            Action::Continue if stopped_before => {
                self.message_mut(path).keep(chunk);
                self.state(path, at).holds_end = end_of_stream;
                self.go_on_behind(path, at);
            }
            Action::Continue => {
                let message = self.message_mut(path);
                message.keep(chunk);
                let data = message.waiting.take().unwrap_or_default();
                if std::mem::take(&mut self.state(path, at).holds_trailers) {
                    self.work.push(Work::Trailers { path, at: at + 1 });
                }
                self.work.push(Work::Data { path, at: at + 1, data, end_of_stream });
            }
            _ => {
                let state = self.state(path, at);
                (state.iteration, state.holds_end) = (Iteration::StopSingle, end_of_stream);
                state.limited = action == Action::StopAndBuffer;
                if action != Action::StopNoBuffer {
                    self.message_mut(path).keep(chunk);
                }
                self.too_large = self.overflow(path, at, 0);
            }
        }
    }

    fn after_trailers(&mut self, path: Path, at: usize, action: Action) {
        let stopped_before = self.state(path, at).iteration == Iteration::StopSingle;
        match action {
            Action::Continue if stopped_before => {
                self.state(path, at).holds_trailers = true;
                self.go_on_behind(path, at);
            }
            Action::Continue => self.work.push(Work::Trailers { path, at: at + 1 }),
            _ => {
                let state = self.state(path, at);
                (state.iteration, state.holds_trailers) = (Iteration::StopSingle, true);
            }
        }
    }

    /// A stopped filter lets go: headers, then what waits, then trailers, from the next filter on; data and trailers that
    /// this one was not shown while everything was stopped begin at itself.
    fn go_on_behind(&mut self, path: Path, at: usize) {
        let waiting = self.message_mut(path).waiting.take();
        let state = self.state(path, at);
        let resume_at = if state.iteration == Iteration::StopAll { at } else { at + 1 };
        (state.iteration, state.limited) = (Iteration::Continue, false);
        let headers_only = state.headers_only;
        let headers_held = !std::mem::replace(&mut state.headers_continued, true);
        let trailers = std::mem::take(&mut state.holds_trailers);
        let end_of_stream = std::mem::take(&mut state.holds_end);
        if trailers {
            self.work.push(Work::Trailers { path, at: resume_at });
        }
        if waiting.is_some() || end_of_stream {
            let data = waiting.unwrap_or_default();
            self.work.push(Work::Data { path, at: resume_at, data, end_of_stream });
        }
        if headers_held {
            self.work.push(Work::Headers { path, at: at + 1, end_of_stream: headers_only });
        }
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
            Work::Headers { path, .. } | Work::Data { path, .. } | Work::Trailers { path, .. } => *path,
            Work::Answer { called, .. } => called.work.path(),
        }
    }

    fn is_at(&self, path: Path, at: usize) -> bool {
        match self {
            Work::Headers { path: p, at: a, .. }
            | Work::Data { path: p, at: a, .. }
            | Work::Trailers { path: p, at: a } => (*p, *a) == (path, at),
            Work::Answer { .. } => false,
        }
    }
}
