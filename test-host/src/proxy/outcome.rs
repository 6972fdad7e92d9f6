//! What became of an exchange, and of a proxy as a whole.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    Proxy, TcpOutcome,
    metrics::Metrics,
    streams::state::{End, StreamId, StreamState},
};
use crate::{
    message::{Exchange, HeaderMap, Message},
    trace::{FilterNumber, Ledger, Thread, Trace, Usage},
};

/// Headers that the connection manager takes off a response.
pub(super) const OF_THE_CONNECTION: [&[u8]; 4] =
    [b"connection", b"proxy-connection", b"transfer-encoding", b"upgrade"];

/// One replayed exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The number it was begun with.
    pub number: usize,
    pub exchange: Box<Exchange>,
    /// The worker that it was on.
    pub thread: Thread,
    /// The request's headers as the last filter left them, before the router's own edits. `None` as below.
    pub filtered_headers: Option<HeaderMap>,
    /// What left for the upstream. `None`: a filter or the router answered first.
    pub upstream_request: Option<Message>,
    /// What left for it in attempts before the last, the first first.
    pub earlier_attempts: Vec<Message>,
    /// What went to the client. `None`: the stream ended without.
    pub downstream_response: Option<Message>,
    /// The response's headers as logs see them: the connection manager has put `date` and `server` on, and taken off what
    /// concerns the connection alone. A recorder among the filters does not see that, nor does a report compare it.
    pub finished_headers: Option<HeaderMap>,
    /// `response.code_details`.
    pub details: Option<bytes::Bytes>,
    pub response_flags: u64,
    pub end: End,
    pub started: Duration,
    pub ended: Duration,
    pub trace: Trace,
    /// What each filter of the chain cost.
    pub usage: Vec<(FilterNumber, Usage)>,
}

impl Outcome {
    /// A response as the connection manager finishes it.
    pub fn finished(&self, response: &Message) -> Message {
        let mut response = response.clone();
        for name in OF_THE_CONNECTION {
            response.headers.remove(name);
        }
        for name in [&b"date"[..], b"server"] {
            if let Some(value) = self.finished_headers.as_ref().and_then(|headers| headers.first(name)) {
                response.headers.set(name, value.clone());
            }
        }
        response
    }

    pub(super) fn of(id: StreamId, mut stream: Box<StreamState>) -> Self {
        let upstream_request = stream.sent.pop().map(|(_, message)| message);
        let numbers = (stream.first_filter..).map(FilterNumber);
        let usage = numbers.zip(stream.filters).map(|(number, filter)| (number, filter.usage));
        Outcome {
            number: id.exchange,
            usage: usage.chain(stream.usage_upstream).collect(),
            exchange: stream.exchange,
            thread: stream.thread,
            filtered_headers: stream.filtered_headers,
            upstream_request,
            earlier_attempts: stream.sent.into_iter().map(|(_, message)| message).collect(),
            finished_headers: stream
                .manager
                .response
                .headers
                .filter(|_| stream.downstream_response.is_some()),
            downstream_response: stream.downstream_response,
            details: stream.details,
            response_flags: stream.response_flags,
            end: stream.end.unwrap_or(End::Hung),
            started: stream.started,
            ended: stream.ended.unwrap_or(stream.started),
            trace: stream.trace,
        }
    }
}

/// A plugin as a report names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterInfo {
    pub name: String,
    pub listener: String,
    /// The module's file, as the configuration names it.
    pub code: PathBuf,
    /// `native` where Rust of this process ran in its place.
    pub sha256: String,
    pub bytes: usize,
    /// What it cost outside streams: start, configuration, ticks, over all workers. Of filters that share a root context the
    /// first has it all.
    pub usage: Usage,
    /// The same on the main thread, where no traffic comes, and in canaries.
    pub usage_on_main: Usage,
}

/// A proxy at the end of a replay.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyOutcome {
    /// How many worker threads it had.
    pub workers: u32,
    pub filters: Vec<FilterInfo>,
    /// In the order in which they ended.
    pub outcomes: Vec<Outcome>,
    /// TCP connections, in the order in which they ended.
    pub connections: Vec<TcpOutcome>,
    pub metrics: Metrics,
    /// Envoy's own counters of plugins, by name: `wasm.<plugin>.vm_reload_success`, `…_failure`, `…_backoff`.
    pub stats: BTreeMap<String, u64>,
    /// What happened outside streams.
    pub trace: Trace,
    /// The [`Entry::order`](crate::trace::Entry::order) from which on it is the end of the process.
    pub shut_down_at: u64,
    pub unimplemented: BTreeMap<&'static str, u64>,
    /// What guests called and were answered; empty unless asked for.
    pub ledger: Ledger,
    /// Bytes drawn from the seeded source: 0 means that the seed made no difference.
    pub random_bytes: u64,
}

impl Proxy {
    /// Hands out what became of the exchanges that have ended since the last time; `true`: there were some.
    pub(crate) fn hand_out(&mut self, ended: impl FnMut(Outcome)) -> bool {
        let some = !self.finished.is_empty();
        self.finished.drain(..).for_each(ended);
        some
    }

    /// Ends what still waits, and then the process. Says from where on in the order of entries it ends.
    pub(super) fn end(&mut self) -> u64 {
        let waiting: Vec<StreamId> = self.core_mut().streams.keys().copied().collect();
        for id in waiting {
            self.end_stream(id, End::Hung);
        }
        let shut_down_at = self.core_mut().next_order();
        self.close_open_connections();
        self.shut_down();
        shut_down_at
    }

    /// Ends what still waits, and hands out everything.
    pub(crate) fn finish(mut self, ended: impl FnMut(Outcome)) -> ProxyOutcome {
        let shut_down_at = self.end();
        self.hand_out(ended);
        let connections = std::mem::take(&mut self.finished_connections);
        let code: Vec<_> = self.bases.iter().map(|base| base.template.code()).collect();
        let Some(core) = self.core() else { unreachable!("no guest is running") };
        let filters = core.filters.iter().enumerate().map(|(number, filter)| {
            let (mut usage, mut usage_on_main) = (Usage::default(), Usage::default());
            for plugin in core.plugins.iter().filter(|plugin| plugin.filter == FilterNumber(number)) {
                let on_main = core.vms.get(plugin.vm.0).is_none_or(|vm| vm.thread.is_main());
                if on_main { &mut usage_on_main } else { &mut usage }.add(&plugin.usage);
            }
            self.of_ones.usage(FilterNumber(number)).inspect(|more| usage.add(more));
            let code = &code[filter.base];
            FilterInfo {
                name: filter.spec.filter_name.clone(),
                listener: filter.listener.clone(),
                code: code.path().to_owned(),
                sha256: code.sha256().to_owned(),
                bytes: code.bytes(),
                usage,
                usage_on_main,
            }
        });
        ProxyOutcome {
            workers: u32::try_from(core.chains.len()).unwrap_or(u32::MAX),
            filters: filters.collect(),
            outcomes: Vec::new(),
            connections,
            metrics: core.metrics.clone(),
            stats: core.stats.clone(),
            trace: core.trace.clone(),
            shut_down_at,
            unimplemented: core.unimplemented.clone(),
            ledger: core.ledger.clone().unwrap_or_default(),
            random_bytes: core.rng.drawn() + core.chance.drawn() + self.of_ones.random_bytes,
        }
    }
}
