//! A record as it stands in a file: where it begins, its bytes, what decoding them gave.

use std::{collections::BTreeSet, fmt, path::Path};

use super::proto::TraceWrapper;
use crate::message::NoteKind;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In JSON; line and column from 1, the column in bytes.
    Text { offset: u64, line: u64, column: u64 },
    /// In protobuf, from 0.
    Offset(u64),
}

impl Place {
    pub(super) fn offset(self) -> u64 {
        match self {
            Place::Text { offset, .. } | Place::Offset(offset) => offset,
        }
    }

    /// As notes and errors write it.
    pub(super) fn in_file(self, file: &Path) -> String {
        format!("{}{self}", file.display())
    }

    /// Where line and column (from 1) of a text that begins here are. The offset stays that of the beginning.
    pub(super) fn inside(self, inner: (u64, u64)) -> Self {
        match self {
            Place::Text { offset, line, column } if inner.0 <= 1 => {
                Place::Text { offset, line, column: column.saturating_add(inner.1.saturating_sub(1)) }
            }
            Place::Text { offset, line, .. } => Place::Text {
                offset,
                line: line.saturating_add(inner.0.saturating_sub(1)),
                column: inner.1.max(1),
            },
            Place::Offset(_) => self,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Text { line, column, .. } => write!(f, ":{line}:{column}"),
            Place::Offset(offset) => write!(f, "@{offset}"),
        }
    }
}

/// What a file is split into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Record { at: Place, bytes: Vec<u8> },
    Problem(Problem),
}

/// What stands in the place of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) kind: NoteKind,
    pub(super) at: Place,
    pub(super) text: String,
    /// How the record begins, at most [`Problem::HEAD_BYTES`] of it: enough to find the trace id in.
    pub(super) head: Vec<u8>,
}

impl Problem {
    pub(super) const HEAD_BYTES: usize = 1024;

    /// The file ends inside the record.
    pub(super) fn torn(at: Place, text: String, head: Vec<u8>) -> Self {
        Self::new(NoteKind::TornRecord, at, text, head)
    }

    /// The record is of no use.
    pub(super) fn skipped(at: Place, text: String, head: Vec<u8>) -> Self {
        Self::new(NoteKind::RecordSkipped, at, text, head)
    }

    fn new(kind: NoteKind, at: Place, text: String, mut head: Vec<u8>) -> Self {
        head.truncate(Self::HEAD_BYTES);
        Self { kind, at, text, head }
    }
}

/// A record read.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) trace: TraceWrapper,
    pub(super) unknown: Unknown,
}

/// Why a record could not be read.
#[derive(Debug)]
pub(super) struct Refused {
    /// Within the record, for JSON.
    pub(super) line_column: Option<(u64, u64)>,
    pub(super) text: String,
}

/// Fields with no place in the messages of [`super::proto`], by path; places in lists are written `[]`.
#[derive(Debug, Default)]
pub(super) struct Unknown(BTreeSet<String>);

impl Unknown {
    /// Most that are told of one record.
    const MOST: usize = 16;
    /// Longest path that is told.
    const LONGEST: usize = 200;

    /// Part of every address Envoy writes, and of no use here.
    const EXPECTED: [&str; 8] = [
        "protocol",
        "resolver_name",
        "resolverName",
        "ipv4_compat",
        "ipv4Compat",
        "network_namespace_filepath",
        "networkNamespaceFilepath",
        "named_port",
    ];

    pub(super) fn add<'a>(&mut self, path: impl Iterator<Item = &'a str>) {
        // `?` is how serde_ignored writes the step into an optional field.
        let steps = path.filter(|s| *s != "?").map(|s| if s.parse::<u64>().is_ok() { "[]" } else { s });
        let steps: Vec<_> = steps.collect();
        let in_address = matches!(steps[..], [.., "socket_address" | "socketAddress", _]);
        if in_address && steps.last().is_some_and(|last| Self::EXPECTED.contains(last)) {
            return;
        }
        if self.0.len() < Self::MOST {
            self.0.insert(steps.join(".").chars().take(Self::LONGEST).collect());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_paths(self) -> impl Iterator<Item = String> {
        self.0.into_iter()
    }

    pub(super) fn paths(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}
