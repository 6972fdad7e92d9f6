//! The state machine that takes a stream through its filters: who is called next, with what, and what a stop means.
//!
//! The rules are those of Envoy's `source/common/http/filter_manager.cc`; its nested calls are a stack of work here.

use std::collections::VecDeque;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::{Action, MessageState, arrival::Arrival, watermark::Watermark};

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
    /// A filter buffers more than the limit: the message goes no further.
    TooLarge { path: Path },
}

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    Once,
    /// The filter had asked to go on and answers to continue too. Envoy runs the rest of the chain twice; it is run once
    /// here.
    Twice {
        path: Path,
        part: Part,
    },
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
    /// It was shown headers that are the whole message.
    headers_only: bool,
    /// It was shown the end, be it headers, data or trailers.
    ended: bool,
    /// The last data came and waits at it.
    holds_end: bool,
    /// Everything stops at it, and what waits counts against the limit.
    limited: bool,
    /// Trailers came and wait at it.
    holds_trailers: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Work {
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

/// A filter that is being called.
#[derive(Clone, Debug)]
pub(super) struct Called {
    work: Work,
    /// How much work lies below: what the filter sets going meanwhile lies above.
    below: usize,
    had_trailers: bool,
    resumed: bool,
    /// The data it is being shown, while what it set going is under way.
    chunk: Option<Bytes>,
}

/// The chain's state for one stream.
#[derive(Clone, Debug)]
pub struct FilterManager {
    pub request: MessageState,
    pub response: MessageState,
    filters: usize,
    decode: SmallVec<[FilterState; 4]>,
    encode: SmallVec<[FilterState; 4]>,
    pub(super) arrivals: VecDeque<(Path, Arrival)>,
    /// The last entry is done first, and all of it before the next arrival.
    work: SmallVec<[Work; 2]>,
    /// Filters that are being called: the last one, in the middle of the call of the one before, and so on.
    called: SmallVec<[Called; 1]>,
    decode_aborted: bool,
    pub(super) buffers: [Watermark; 2],
    pub(super) too_large: Option<Path>,
    /// The end of the request, of the response, has been passed on.
    forwarded_end: [bool; 2],
    response_headers_sent: bool,
    pub(super) closed: bool,
}

impl FilterManager {
    /// `buffer_limit`: how many bytes of a body may wait, each way; `None`: any number.
    pub fn new(filters: usize, buffer_limit: Option<usize>) -> Self {
        FilterManager {
            request: MessageState::default(),
            response: MessageState::default(),
            filters,
            decode: smallvec![FilterState::default(); filters],
            encode: smallvec![FilterState::default(); filters],
            arrivals: VecDeque::new(),
            work: SmallVec::new(),
            called: SmallVec::new(),
            decode_aborted: false,
            buffers: [Watermark::new(buffer_limit); 2],
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

    /// Gives up what the request still had to do: a local reply or an upstream response end has overtaken it.
    pub fn abort_decoding(&mut self) {
        self.decode_aborted = true;
        self.work.retain(|work| work.path() == Path::Encode);
        self.arrivals.retain(|(path, _)| *path == Path::Encode);
    }

    pub(super) fn is_over(&self, path: Path) -> bool {
        self.closed || (path == Path::Decode && self.decode_aborted)
    }

    /// Ends the stream: nothing moves any more.
    pub fn close(&mut self) {
        self.closed = true;
        self.work.clear();
        self.arrivals.clear();
        self.too_large = None;
    }

    /// Whether the end of a message has passed all filters.
    pub fn has_passed(&self, path: Path) -> bool {
        self.forwarded_end[path as usize]
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
        let in_call = self.called.last_mut().filter(|called| called.work.is_at(path, at));
        let Some(called) = in_call else {
            if stopped {
                self.go_on_behind(path, at);
            }
            return stopped;
        };
        called.resumed = true;
        let (data, trailers) =
            (matches!(called.work, Work::Data { .. }), matches!(called.work, Work::Trailers { .. }));
        let last = matches!(called.work, Work::Data { end_of_stream: true, .. });
        let message = self.message(path);
        let alone = message.chunk.as_ref().is_none_or(Bytes::is_empty);
        let last = last && alone && message.trailers.is_none() && message.waiting.is_some();
        let state = self.state(path, at);
        state.holds_trailers |= trailers;
        state.holds_end |= last && stopped;
        let goes_on = stopped || !data;
        if goes_on {
            self.go_on_behind(path, at);
        }
        goes_on
    }

    /// Whether a filter is being called with a part of the request.
    pub fn is_decoding(&self) -> bool {
        self.called.iter().any(|called| called.work.path() == Path::Decode)
    }

    /// Whether a filter holds the stream.
    pub fn is_stopped(&self, filter: FilterIndex, path: Path) -> bool {
        let at = self.position(filter, path);
        let states = if path == Path::Decode { &self.decode } else { &self.encode };
        states.get(at).is_some_and(|state| state.iteration != Iteration::Continue)
    }

    /// What to do next; `None` when the stream waits for something from outside.
    pub fn next_step(&mut self) -> Option<Step> {
        if let Some(path) = self.too_large.take() {
            return Some(Step::TooLarge { path });
        }
        loop {
            // What a filter sets going in the middle of its call is carried out; what came before it has to wait.
            if self.called.last().is_some_and(|called| self.work.len() <= called.below) {
                return None;
            }
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
                self.call(path, at, Part::Headers { end_of_stream }, work, None)
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
                self.call(path, at, Part::Trailers, Work::Trailers { path, at }, None)
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
        self.drained(path);
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
            let state = self.state(path, at);
            state.holds_end |= end_of_stream;
            let limited = state.limited;
            self.message_mut(path).keep(data);
            self.kept(path, !limited);
            return self.too_large.take().map(|path| Step::TooLarge { path });
        }
        if self.state(path, at).ended {
            return None;
        }
        self.state(path, at).ended = end_of_stream;
        let work = Work::Data { path, at, data: Bytes::new(), end_of_stream };
        self.call(path, at, Part::Data { end_of_stream }, work, Some(data))
    }

    fn call(&mut self, path: Path, at: usize, part: Part, work: Work, shown: Option<Bytes>) -> Option<Step> {
        if let Some(outer) = self.called.last().map(|called| called.work.path()) {
            let chunk = self.message_mut(outer).chunk.take();
            if let Some(called) = self.called.last_mut().filter(|called| called.chunk.is_none()) {
                called.chunk = chunk;
            }
        }
        self.message_mut(path).chunk = shown;
        let had_trailers = self.message(path).trailers.is_some();
        self.called.push(Called { work, below: self.work.len(), had_trailers, resumed: false, chunk: None });
        Some(Step::Call { filter: self.filter_at(path, at), path, part })
    }

    /// What the filter last called has answered. Effects of its callback (a local reply, a close, a continue) come before
    /// this.
    pub fn answered(&mut self, action: Action) -> Answered {
        let Some(mut called) = self.called.pop() else {
            return Answered::Once;
        };
        let path = called.work.path();
        if let Some(chunk) = called.chunk.take() {
            self.message_mut(path).chunk = Some(chunk);
        }
        if self.is_over(path) {
            self.message_mut(path).chunk = None;
            return Answered::Once;
        }
        if called.resumed && action == Action::Continue {
            match called.work {
                Work::Headers { end_of_stream, .. } => {
                    return Answered::Twice { path, part: Part::Headers { end_of_stream } };
                }
                Work::Trailers { .. } => return Answered::Twice { path, part: Part::Trailers },
                Work::Data { .. } | Work::Answer { .. } => {}
            }
        }
        if self.work.len() > called.below {
            let chunk = self.message_mut(path).chunk.take();
            let below = called.below;
            self.work.insert(below, Work::Answer { called: Box::new(called), action, chunk });
        } else {
            self.act_on(called, action);
        }
        Answered::Once
    }

    fn act_on(&mut self, called: Called, action: Action) {
        let Called { work, had_trailers, .. } = called;
        let path = work.path();
        match work {
            Work::Headers { at, end_of_stream, .. } => self.after_headers(path, at, end_of_stream, action),
            Work::Data { at, end_of_stream, .. } => {
                self.grown(path);
                let added_trailers = end_of_stream && !had_trailers && self.message(path).trailers.is_some();
                // Trailers that a filter added with the last data are shown to the filters behind it.
                let waits = action == Action::Continue || path == Path::Encode;
                if added_trailers && !waits {
                    // Of a request, they do so although the data stays.
                    self.work.push(Work::Trailers { path, at: at + 1 });
                }
                self.state(path, at).holds_trailers |= added_trailers && waits;
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
                // What waits may be that of a filter behind, which this one has let go in the middle of its call.
                let theirs = (at + 1..self.filters)
                    .any(|behind| self.state(path, behind).iteration != Iteration::Continue);
                let message = self.message_mut(path);
                let data = if theirs {
                    chunk
                } else {
                    message.keep(chunk);
                    message.waiting.take().unwrap_or_default()
                };
                if std::mem::take(&mut self.state(path, at).holds_trailers) {
                    self.work.push(Work::Trailers { path, at: at + 1 });
                }
                self.work.push(Work::Data { path, at: at + 1, data, end_of_stream });
            }
            _ => {
                let state = self.state(path, at);
                (state.iteration, state.holds_end) = (Iteration::StopSingle, end_of_stream);
                if action == Action::StopNoBuffer {
                    self.drained(path);
                } else {
                    self.message_mut(path).keep(chunk);
                    self.kept(path, action == Action::StopAndWatermark);
                }
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
