//! Exported spans in the report.

use std::time::Duration;

use super::{HopReport, Report, Text, TraceReport, TracesReport};
use crate::spans::{Hop, Received, Trace, traces};

impl Report {
    /// With what a collector received during the replay.
    #[must_use]
    pub fn with_traces(self, received: &Received) -> Self {
        let traces = traces(&received.spans).iter().map(trace).collect();
        Report { traces: Some(TracesReport { traces, refused: received.refused.clone() }), ..self }
    }
}

impl TracesReport {
    /// The one that took longest first; of equals the first that began.
    pub(super) fn slowest(&self) -> Vec<&TraceReport> {
        let mut traces: Vec<_> = self.traces.iter().collect();
        traces.sort_by_key(|trace| std::cmp::Reverse(trace.lasted_us));
        traces
    }
}

fn trace(trace: &Trace) -> TraceReport {
    let began = trace.started();
    TraceReport {
        trace_id: trace.id,
        lasted_us: micros(trace.lasted()),
        repeated: trace.repeated,
        hops: trace.hops.iter().map(|each| hop(each, began)).collect(),
    }
}

fn hop(Hop { depth, parent_missing, span }: &Hop, began: Duration) -> HopReport {
    HopReport {
        span_id: span.id,
        parent_span_id: span.parent,
        depth: *depth,
        parent_missing: *parent_missing,
        proxy: span.proxy.to_string(),
        service: Text::from(span.service.as_str()),
        name: Text::from(span.name.as_str()),
        kind: span.kind,
        started_us: micros(span.started.saturating_sub(began)),
        lasted_us: micros(span.ended.saturating_sub(span.started)),
        failed: span.failed,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
