//! One attempt at a request, seen by the same module among the upstream's filters. Envoy tells it nothing when it is over: it is recorded when
//! its stream is deleted.

use std::num::NonZeroU64;
use std::rc::Rc;

use wayside_sdk::property::CLUSTER_NAME;
use wayside_sdk::{Host, Mode, Monotonic, RequestHeaders, ResponseHeaders, name};

use super::{HOPS, Telemetry};
use crate::config::Attempts;
use crate::labels::{self, StatusLabel};
use crate::propagation::Edit;
use crate::trace::ids;

#[derive(Debug)]
pub(super) struct Attempt {
    plugin: Rc<Telemetry>,
    method: &'static str,
    cluster: Vec<u8>,
    came: Monotonic,
    status: Option<StatusLabel>,
}

impl Attempt {
    pub(super) fn begin(
        plugin: &Rc<Telemetry>,
        attempts: Attempts,
        _ordinal: NonZeroU64,
        request: &mut RequestHeaders,
    ) -> Host<Attempt> {
        let block = request.headers.block()?;
        let came = request.stream().now()?;
        let cluster = request.stream().get(&CLUSTER_NAME)?.unwrap_or_default();
        let attempt = Attempt {
            plugin: Rc::clone(plugin),
            method: labels::method(block.method()),
            cluster,
            came,
            status: None,
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
        self.plugin.metrics.client(labels, now.since(self.came));
    }
}
