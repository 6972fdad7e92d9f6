//! Why no recording could be loaded.

use std::{fmt::Write, io, path::Path};

use super::limits::ByteSize;
use crate::message::Note;

/// Nothing can be replayed. What leaves something to replay is a note in the recording instead.
#[derive(Debug, thiserror::Error)]
pub enum TrafficError {
    #[error("{file}: cannot be read: {source}")]
    Io { file: String, source: io::Error },
    /// Not one exchange or connection was found; the notes say what was, and where.
    #[error("no exchange and no connection could be read{}", listed(notes))]
    NothingUsable { notes: Vec<Note> },
    #[error(
        "{place}: the recording takes more than {limit} of memory up to here; raise the limit, or replay it in parts"
    )]
    TooLarge { place: String, limit: ByteSize },
    /// Connections written out by hand have to be right.
    #[error(transparent)]
    Connections(#[from] super::ConnectionsError),
    #[error("{place}: the recording has more than {limit} exchanges; raise the limit, or replay it in parts")]
    TooMany { place: String, limit: u32 },
}

impl TrafficError {
    pub(super) fn io(file: &Path, source: io::Error) -> Self {
        Self::Io { file: file.display().to_string(), source }
    }
}

fn listed(notes: &[Note]) -> String {
    const MOST: usize = 20;
    if notes.is_empty() {
        return ": no file was given".to_owned();
    }
    let mut list = ":".to_owned();
    for note in notes.iter().take(MOST) {
        let _ = write!(list, "\n  {}: {}", note.place, note.text);
    }
    if let Some(more) = notes.len().checked_sub(MOST).filter(|more| *more > 0) {
        let _ = write!(list, "\n  and {more} more");
    }
    list
}
