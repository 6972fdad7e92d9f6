//! Spans that filters export while a replay runs, put together over all its proxies: the path of a request through the mesh,
//! as those tell it who were there.
//!
//! A [`Collector`] stands for the cluster that filters export to; what it received, [`traces`] makes into trees.

mod assembled;
mod collector;
mod read;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use serde::{Serialize, Serializer};

pub use assembled::{Hop, Trace, traces};
pub use collector::{Collector, Received};

/// The id of a trace: 16 bytes, not all zero; as text 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span within its trace: 8 bytes, not all zero; as text 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

macro_rules! hexadecimal {
    ($($id:ident)*) => { $(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )* };
}

hexadecimal! { TraceId SpanId }

/// What a span is to its parent (OTLP's `SpanKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl fmt::Display for SpanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SpanKind::Unspecified => "",
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        })
    }
}

/// A span as a collector received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub trace: TraceId,
    pub id: SpanId,
    /// `None`: the trace begins here.
    pub parent: Option<SpanId>,
    /// The proxy that exported it.
    pub proxy: Arc<str>,
    /// `service.name` of its resource; empty where it has none.
    pub service: String,
    pub name: String,
    pub kind: SpanKind,
    /// Since the Unix epoch.
    pub started: Duration,
    pub ended: Duration,
    /// Its status is `Error`.
    pub failed: bool,
}
