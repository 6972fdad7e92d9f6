//! One stream in a proxy: its messages, what each filter may see of them now, and what became of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::proxy::{
    core::{PluginIndex, VmIndex},
    filter_state::FilterState,
    streams::route_state::RouteState,
    streams::timers::StreamTimers,
};
use crate::{
    abi::ContextId,
    message::{Exchange, HeaderMap, Message},
    stream::{FilterManager, Path, ReplyForm},
    trace::{FilterNumber, Thread, Trace, Usage},
};

/// A stream within its proxy: the number of its exchange in the recording, and 0, or the number of the attempt whose upstream
/// filters it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId {
    pub(crate) exchange: usize,
    pub(crate) attempt: u32,
}

impl StreamId {
    pub(crate) fn of(exchange: usize) -> Self {
        StreamId { exchange, attempt: 0 }
    }

    /// The client's stream, of which this is an attempt or itself.
    pub(crate) fn downstream(self) -> Self {
        StreamId::of(self.exchange)
    }

    pub(crate) fn attempt(self, number: u32) -> Self {
        StreamId { attempt: number, ..self }
    }

    pub(crate) fn is_attempt(self) -> bool {
        self.attempt != 0
    }
}

/// What a filter may see of one message now (`envoy-abi` 2.7: pointers that come and go).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) headers: bool,
    pub(crate) body: bool,
    pub(crate) trailers: bool,
    /// The last body callback asked for buffering: the body is all that waits.
    pub(crate) buffering: bool,
    /// The last body callback of all stopped without buffering: what it was shown is gone, and Envoy does not know.
    pub(crate) dangling: bool,
}

/// A filter's context for one stream.
#[derive(Debug, Default)]
pub(crate) struct FilterContext {
    /// Known to the guest.
    pub(crate) context: Option<ContextId>,
    /// Its id, in the VM that the stream began with.
    pub(crate) reserved: Option<(VmIndex, ContextId)>,
    /// The plugin's when the stream began. A newer VM does not know the context.
    pub(crate) generation: u32,
    /// The stream does without this filter.
    pub(crate) passed_by: bool,
    pub(crate) request: View,
    pub(crate) response: View,
    /// Of the part last shown, whichever way.
    pub(crate) end_of_stream: bool,
    pub(crate) logging: bool,
    /// The 503 for a dead VM has been sent.
    pub(crate) failure_replied: bool,
    pub(crate) usage: Usage,
}

impl FilterContext {
    pub(crate) fn view(&self, path: Path) -> &View {
        match path {
            Path::Decode => &self.request,
            Path::Encode => &self.response,
        }
    }

    pub(crate) fn view_mut(&mut self, path: Path) -> &mut View {
        match path {
            Path::Decode => &mut self.request,
            Path::Encode => &mut self.response,
        }
    }
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The response went out whole.
    Complete,
    /// A filter reset it, or a reply came too late.
    Reset,
    /// The recorded client or upstream went away in mid-stream.
    Disconnected,
    /// It was still waiting when nothing more could happen.
    Hung,
}

#[derive(Debug)]
pub(crate) struct StreamState {
    /// The client's stream, where this is an attempt of its router.
    pub(crate) attempt_of: Option<StreamId>,
    pub(crate) exchange: Box<Exchange>,
    /// Apart: two small pieces of memory are had faster than a big one.
    pub(crate) manager: Box<FilterManager>,
    /// The plugins of its chain, from the client on, and behind them the access loggers; `filters` has the same order, without
    /// loggers.
    pub(crate) chain: Arc<[PluginIndex]>,
    /// The number of its first filter.
    pub(crate) first_filter: usize,
    /// The worker that it is on.
    pub(crate) thread: Thread,
    /// The listener whose chain it is.
    pub(crate) listener: usize,
    pub(crate) filters: Vec<FilterContext>,
    pub(crate) started: Duration,
    pub(crate) timers: StreamTimers,
    pub(crate) route: RouteState,
    pub(crate) filter_state: FilterState,
    /// `response.code`: the router's or a reply's, until the headers have gone out; then theirs.
    pub(crate) response_code: Option<u32>,
    /// What the recording was found not to tell.
    pub(crate) lacking: BTreeSet<&'static str>,
    /// The request's headers as the last filter left them, before the router's own edits.
    pub(crate) filtered_headers: Option<HeaderMap>,
    /// What went to the upstream, as far as it went, by attempt.
    pub(crate) sent: SmallVec<[(u32, Message); 1]>,
    /// What the upstream filters of attempts that have ended cost, by the number of the filter.
    pub(crate) usage_upstream: BTreeMap<FilterNumber, Usage>,
    /// What went to the client.
    pub(crate) downstream_response: Option<Message>,
    /// The callback under way has asked for a reply.
    pub(crate) reply_prepared: bool,
    pub(crate) details: Option<Bytes>,
    pub(crate) response_flags: u64,
    pub(crate) end: Option<End>,
    pub(crate) ended: Option<Duration>,
    pub(crate) trace: Trace,
}

impl StreamState {
    pub(crate) fn new(
        exchange: Box<Exchange>,
        listener: usize,
        (chain, loggers): (Arc<[PluginIndex]>, usize),
        first_filter: usize,
        thread: Thread,
        started: Duration,
        buffer_limit: Option<usize>,
    ) -> Self {
        let filters = chain.len().saturating_sub(loggers);
        StreamState {
            attempt_of: None,
            exchange,
            chain,
            first_filter,
            thread,
            listener,
            manager: Box::new(FilterManager::new(filters, buffer_limit)),
            filters: std::iter::repeat_with(FilterContext::default).take(filters).collect(),
            started,
            timers: StreamTimers::starting_at(started),
            route: RouteState::default(),
            filter_state: FilterState::default(),
            response_code: None,
            lacking: BTreeSet::new(),
            filtered_headers: None,
            sent: SmallVec::new(),
            usage_upstream: BTreeMap::new(),
            downstream_response: None,
            reply_prepared: false,
            details: None,
            response_flags: 0,
            end: None,
            ended: None,
            trace: Trace::default(),
        }
    }

    /// What went to the upstream in an attempt.
    pub(crate) fn sent_in(&mut self, attempt: u32) -> Option<&mut Message> {
        self.sent.iter_mut().find(|(number, _)| *number == attempt).map(|(_, message)| message)
    }

    /// The response that is under way now has these headers.
    pub(crate) fn note_code(&mut self, headers: &HeaderMap) {
        let status = headers.first(b":status").and_then(|status| std::str::from_utf8(status).ok());
        self.response_code = status.and_then(|status| status.parse().ok()).or(self.response_code);
    }

    /// What kind of reply the request asked for as it arrived, whatever filters have made of it.
    pub(crate) fn reply_form(&self) -> ReplyForm {
        ReplyForm::asked_by(&self.exchange.request.headers)
    }

    pub(crate) fn request_headers(&self) -> Option<&HeaderMap> {
        self.manager.request.headers.as_ref()
    }
}
