//! What is sent: items of one signal, under the resource and the scope they are of.

use crate::attribute::{self, Attribute};
use crate::write::{DELIMITED, Encoding, Field, Writer, push_key, push_varint, varint_len};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    Traces,
    Logs,
    Metrics,
}

impl Signal {
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

    /// In configurations and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }

    /// Where a collector listens for it, behind what stands before all of them.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Logs => "/v1/logs",
            Signal::Metrics => "/v1/metrics",
        }
    }

    /// The lists that hold one another, as JSON names them. Protobuf's numbers are the same for all signals.
    const fn lists(self) -> [&'static str; 3] {
        match self {
            Signal::Traces => ["resourceSpans", "scopeSpans", "spans"],
            Signal::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
            Signal::Metrics => ["resourceMetrics", "scopeMetrics", "metrics"],
        }
    }

    /// In an answer, how many were not taken.
    pub(crate) const fn rejected(self) -> &'static str {
        match self {
            Signal::Traces => "rejectedSpans",
            Signal::Logs => "rejectedLogRecords",
            Signal::Metrics => "rejectedDataPoints",
        }
    }
}

/// Who tells: written once, sent with every batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    encoding: Encoding,
    resource: Vec<u8>,
    scope: Vec<u8>,
}

const ATTRIBUTES: Field = Field(1, "attributes");
const NAME: Field = Field(1, "name");
const VERSION: Field = Field(2, "version");

impl Origin {
    /// A resource with these attributes, and the scope's name and version.
    #[must_use]
    pub fn new(encoding: Encoding, resource: &[Attribute<'_>], scope: &str, version: &str) -> Origin {
        let resource = Writer::message_of(encoding, |to| attribute::write_all(to, ATTRIBUTES, resource));
        let scope = Writer::message_of(encoding, |to| {
            to.text(NAME, scope.as_bytes());
            to.text(VERSION, version.as_bytes());
        });
        Origin { encoding, resource, scope }
    }

    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The body of a request with these items, each as its `encode` wrote it in this encoding. Nothing is encoded again.
    #[must_use]
    pub fn request<'a>(&self, signal: Signal, items: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
        match self.encoding {
            Encoding::Protobuf => self.protobuf(items),
            Encoding::Json => self.json(signal, items),
        }
    }

    fn protobuf<'a>(&self, items: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
        let all_items = items.clone().fold(0_usize, |sum, item| sum.saturating_add(whole(item.len())));
        let of_scope = whole(self.scope.len()).saturating_add(all_items);
        let of_resource = whole(self.resource.len()).saturating_add(whole(of_scope));
        let mut out = Vec::with_capacity(whole(of_resource));
        push_length(&mut out, 1, of_resource);
        push_bytes(&mut out, 1, &self.resource);
        push_length(&mut out, 2, of_scope);
        push_bytes(&mut out, 1, &self.scope);
        for item in items {
            push_bytes(&mut out, 2, item);
        }
        out
    }

    fn json<'a>(&self, signal: Signal, items: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let [resources, scopes, list] = signal.lists();
        let mut out = Vec::new();
        for part in [
            b"{\"",
            resources.as_bytes(),
            b"\":[{\"resource\":",
            &self.resource,
            b",\"",
            scopes.as_bytes(),
            b"\":[{\"scope\":",
            &self.scope,
            b",\"",
            list.as_bytes(),
            b"\":[",
        ] {
            out.extend_from_slice(part);
        }
        for (index, item) in items.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(item);
        }
        out.extend_from_slice(b"]}]}]}");
        out
    }
}

/// Key, length and content, below 16 in number.
fn whole(len: usize) -> usize {
    len.saturating_add(varint_len(len)).saturating_add(1)
}

fn push_length(out: &mut Vec<u8>, number: u8, len: usize) {
    push_key(out, number, DELIMITED);
    push_varint(out, u64::try_from(len).unwrap_or(u64::MAX));
}

fn push_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    push_length(out, number, bytes.len());
    out.extend_from_slice(bytes);
}
