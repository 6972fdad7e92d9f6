//! One attempt at a request, seen by the same module among the upstream's filters. Envoy tells it nothing when it is over: it is recorded when
//! its stream is deleted.

use std::num::NonZeroU64;
use std::rc::Rc;
use std::time::Duration;

use wayside_sdk::property::CLUSTER_NAME;
use wayside_sdk::{Host, Mode, Monotonic, RequestHeaders, ResponseHeaders, Wall, name};

use super::{HOPS, Telemetry};
use crate::config::Attempts;
use crate::hop::Hop;
use crate::labels::{self, StatusLabel};
use crate::observation::{Finished, Kind, Sampling, SpanIds};
use crate::propagation::Edit;
use crate::trace::ids;

#[derive(Debug)]
pub(super) struct Attempt {
    plugin: Rc<Telemetry>,
    method: &'static str,
    cluster: Vec<u8>,
    came: Monotonic,
    status: Option<StatusLabel>,
    span: Option<Span>,
}

/// The span made of it, a child of the request's.
#[derive(Debug)]
struct Span {
    hop: Rc<Hop>,
    id: [u8; 8],
    start: Wall,
    ordinal: NonZeroU64,
}

impl Attempt {
    pub(super) fn begin(
        plugin: &Rc<Telemetry>,
        attempts: Attempts,
        ordinal: NonZeroU64,
        request: &mut RequestHeaders,
    ) -> Host<Attempt> {
        let block = request.headers.block()?;
        let came = request.stream().now()?;
        let cluster = request.stream().get(&CLUSTER_NAME)?.unwrap_or_default();
        let mut attempt = Attempt {
            plugin: Rc::clone(plugin),
            method: labels::method(block.method()),
            cluster,
            came,
            status: None,
            span: None,
        };
        // A request that nobody made a span of has none for its attempts either.
        if attempts.client_spans
            && plugin.mode == Mode::Enforce
            && let Some(hop) = HOPS.with(|hops| hops.of(request.stream()))?
        {
            let span_id = ids::span(plugin.ids.borrow_mut().take(wayside_sdk::rng::bytes)?);
            let mut edit = |edit: Edit<'_>| match edit {
                Edit::Set(name, value) => request.headers.set(name, value),
                Edit::Remove(name) => request.headers.remove(name),
            };
            plugin.propagation.inject(&block, &hop.onward_of_attempt(span_id), &mut edit)?;
            if hop.is_sampled() && plugin.told.as_ref().is_some_and(|told| told.exporter.tells_spans()) {
                attempt.span = Some(Span { hop, id: span_id, start: Wall::now()?, ordinal });
            }
        }
        Ok(attempt)
    }

    pub(super) fn answered(&mut self, response: &ResponseHeaders) {
        match response.headers.first(name!(":status")) {
            Ok(status) => self.status = status.and_then(|digits| StatusLabel::read(&digits)),
            Err(error) => {
                self.plugin.metrics.failed(format_args!("an attempt's status cannot be read: {error}"));
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Ok(now) = Monotonic::now() else { return };
        let status = self.status.as_ref().map_or(&b""[..], StatusLabel::as_bytes);
        let error: &[u8] = match &self.status {
            None => b"_OTHER",
            Some(label) if label.is_error() => status,
            Some(_) => b"",
        };
        let labels = [self.method.as_bytes(), status, &self.cluster, error];
        let duration = now.since(self.came);
        self.plugin.metrics.client(labels, duration);
        if let (Some(span), Some(told)) = (&self.span, &self.plugin.told) {
            told.exporter.finished(&self.finished(span, duration, error), None);
        }
    }
}

impl Attempt {
    fn finished<'a>(&'a self, span: &'a Span, duration: Duration, error: &'a [u8]) -> Finished<'a> {
        let start_ns = nanos(span.start.since_epoch());
        Finished {
            ids: Some(SpanIds {
                span_id: span.id,
                parent_id: Some(span.hop.span_id),
                parent_is_remote: false,
                ..span.hop.ids()
            }),
            sampling: Sampling::Head,
            start_ns,
            end_ns: start_ns.saturating_add(nanos(duration)),
            method: self.method,
            status: self.status.map(StatusLabel::number),
            error_type: error,
            cluster: &self.cluster,
            attempts: Some(span.ordinal.get()),
            ..Finished::unknown(Kind::Client)
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
