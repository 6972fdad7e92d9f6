//! What happened, in order: the record a report is made of.

mod finding;
mod ledger;
mod made;
mod thread;
mod usage;

use std::time::Duration;

use bytes::Bytes;

pub use finding::FindingKind;
pub use ledger::{AT_START, Ledger};
pub use made::Made;
pub use thread::Thread;
pub use usage::{Counts, Usage};

use crate::{
    abi::{LogLevel, MapType, MetricType},
    stream::{Action, Path},
};

/// A filter's number within its proxy, over all chains. The outcome's list of filters has the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct FilterNumber(pub usize);

/// One thing that happened to a stream, or to a plugin outside any stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Virtual time since the replay began.
    pub at: Duration,
    /// Counted over all that happened in the proxy: what is earlier has a smaller number.
    pub order: u64,
    /// Where it happened.
    pub thread: Thread,
    /// The filter that did it; `None` for the proxy itself. Filters that share a root context do it as the first of them.
    pub filter: Option<FilterNumber>,
    pub what: What,
}

/// How much of what happens is kept. What an exchange came to, and what it cost, is kept always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceLevel {
    /// Faults and findings only, and what happens while plugins start.
    Off,
    #[default]
    On,
}

impl TraceLevel {
    pub(crate) fn keeps(self, what: &What) -> bool {
        self == TraceLevel::On
            || matches!(what, What::Fault { .. } | What::Finding { .. } | What::Reconfigured { .. })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A callback ran. `action` is what a stream callback answered.
    Called {
        callback: &'static str,
        action: Option<Action>,
    },
    /// A filter changed a header map.
    Header {
        map: MapType,
        edit: HeaderEdit,
    },
    /// A filter changed a body.
    Body {
        path: Path,
        edit: BodyEdit,
        bytes: usize,
    },
    /// A filter answered the request itself.
    Replied {
        status: u32,
        details: Bytes,
        body: usize,
    },
    /// A filter asked a stopped stream to go on.
    Resumed {
        path: Path,
    },
    /// A filter reset the stream.
    Closed,
    /// A filter made an HTTP call.
    CalledOut {
        cluster: Bytes,
        method: Bytes,
        path: Bytes,
        token: u32,
    },
    /// An HTTP call was answered: status, or what went wrong.
    CalloutAnswered {
        token: u32,
        answer: String,
    },
    Logged {
        level: LogLevel,
        text: Bytes,
    },
    Counted {
        metric: Bytes,
        kind: MetricType,
        change: Change,
    },
    SetProperty {
        path: Bytes,
        bytes: usize,
    },
    /// Randomness was drawn: here, and only here, a result may depend on the seed.
    Random {
        bytes: usize,
    },
    /// The module broke; its VM is dead.
    Fault {
        reason: String,
    },
    /// Something a filter author should know: an unimplemented call, misuse that Envoy swallows or crashes on.
    Finding {
        kind: FindingKind,
        text: String,
    },
    /// The router chose where to send the request.
    Routed {
        route: String,
        cluster: String,
    },
    /// The router answered instead of an upstream.
    RouterReplied {
        status: u32,
        details: String,
    },
    /// The client went away, as recorded.
    ClientLeft,
    /// The upstream broke off in the middle of its answer.
    UpstreamBroke,
    /// The router will make another attempt.
    Retries {
        after: Duration,
    },
    /// A new configuration is in force.
    Reconfigured {
        text: String,
    },
    /// The upstream's answer arrived.
    UpstreamAnswered {
        status: String,
    },
}

impl What {
    /// How many bytes of it a guest chose.
    fn written_by_guest(&self) -> usize {
        match self {
            What::Header { edit: HeaderEdit::Added { name, value }, .. }
            | What::Header { edit: HeaderEdit::Replaced { name, value, .. }, .. } => name.len() + value.len(),
            What::Header { edit: HeaderEdit::Removed { name, .. }, .. } => name.len(),
            What::Replied { details, .. } => details.len(),
            What::CalledOut { cluster, method, path, .. } => cluster.len() + method.len() + path.len(),
            What::Logged { text, .. } => text.len(),
            What::Counted { metric, .. } => metric.len(),
            What::SetProperty { path, .. } => path.len(),
            _ => 0,
        }
    }

    /// The kind of finding it is, where it is one. A reset is one, too.
    pub fn finding(&self) -> Option<FindingKind> {
        match self {
            What::Finding { kind, .. } => Some(*kind),
            What::Closed => Some(FindingKind::StreamReset),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum HeaderEdit {
    Added {
        name: Bytes,
        value: Bytes,
    },
    /// `before` holds the values replaced; empty where there were none.
    Replaced {
        name: Bytes,
        before: Vec<Bytes>,
        value: Bytes,
    },
    Removed {
        name: Bytes,
        before: Vec<Bytes>,
    },
    /// The whole map was replaced.
    Rewritten {
        fields: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEdit {
    Replaced,
    Prepended,
    Appended,
}

/// What a metric call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    By(i64),
    Recorded(u64),
}

/// A trace keeps this many entries; the rest is only counted, so that a runaway filter cannot fill the memory.
pub const ENTRIES_MAX: usize = 10_000;
/// Behind those there is room for so many findings and faults: that a bound was reached is told, too.
pub const FINDINGS_MAX: usize = 1_000;
/// What guests wrote, in all entries of a trace, is no more than this.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    pub entries: Vec<Entry>,
    /// Entries that did not fit.
    pub omitted: u64,
    /// What guests wrote, in all entries.
    bytes: usize,
}

impl Trace {
    pub fn push(&mut self, entry: Entry) {
        let bytes = self.bytes.saturating_add(entry.what.written_by_guest());
        let told_always = entry.what.finding().is_some() || matches!(entry.what, What::Fault { .. });
        let room = if told_always { ENTRIES_MAX + FINDINGS_MAX } else { ENTRIES_MAX };
        if self.entries.len() < room && bytes <= BYTES_MAX {
            self.bytes = bytes;
            self.entries.push(entry);
        } else {
            self.omitted += 1;
        }
    }

    /// Adds what another trace holds, within the same bounds.
    pub(crate) fn append(&mut self, other: Trace) {
        self.omitted += other.omitted;
        other.entries.into_iter().for_each(|entry| self.push(entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(what: What) -> Entry {
        Entry { at: Duration::ZERO, order: 0, thread: Thread::Main, filter: None, what }
    }

    fn logged() -> Entry {
        entry(What::Logged { level: LogLevel::Info, text: "on and on".into() })
    }

    fn full() -> Trace {
        let mut trace = Trace::default();
        (0..ENTRIES_MAX + 5).for_each(|_| trace.push(logged()));
        trace
    }

    #[test]
    fn a_finding_is_kept_where_nothing_else_is_any_more() {
        let mut trace = full();
        let found = || entry(What::Finding { kind: FindingKind::BoundReached, text: "too much".into() });
        trace.push(found());
        assert_eq!((trace.entries.len(), trace.omitted), (ENTRIES_MAX + 1, 5));
        (0..FINDINGS_MAX).for_each(|_| trace.push(found()));
        assert_eq!((trace.entries.len(), trace.omitted), (ENTRIES_MAX + FINDINGS_MAX, 6));
    }

    #[test]
    fn two_traces_together_are_no_longer_than_one_may_be() {
        let mut trace = full();
        trace.append(full());
        assert_eq!((trace.entries.len(), trace.omitted), (ENTRIES_MAX, 5 + 5 + ENTRIES_MAX as u64));
    }
}
