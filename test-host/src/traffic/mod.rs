//! Recorded traffic → [`Recording`]: what Envoy's taps wrote (`envoy.data.tap.v3.TraceWrapper`), losslessly, with notes on
//! what it lacks.
//!
//! | sink format | buffered | streamed |
//! |---|---|---|
//! | `JSON_BODY_AS_BYTES`, `JSON_BODY_AS_STRING` (objects one after the other, in any layout) | yes | yes |
//! | `PROTO_BINARY_LENGTH_DELIMITED` | yes | yes |
//! | `PROTO_BINARY` (one message a file) | yes | yes |
//! | `PROTO_TEXT` | no | no |
//!
//! Taps of sockets (`envoy.transport_sockets.tap`), in the same formats, hold TCP connections; so do files written by hand
//! ([`load_connections`]), YAML, in a folder `connections.yaml` or `<proxy>.connections.yaml`.
//!
//! A file's name says whose traffic it holds: `<proxy>.<inbound|outbound>.<streamed|buffered>.<extension>`; of sockets
//! `<proxy>.<downstream|upstream>.…`, where `upstream` is the cluster's socket, and any other is the listener's. Of any other
//! name the stem is the proxy's. `_<trace id>` at its end, which Envoy puts there, is taken off before. Streamed and buffered
//! traces of one proxy and direction are joined: by trace id where the buffered one has it in its file's name, by their
//! places where a file of each holds the same streams from first to last, else by their contents.

mod assembly;
mod delimited;
mod draft;
mod error;
mod finish;
mod format;
mod join;
mod json;
mod json_objects;
mod limits;
mod notes;
mod proto;
mod read;
mod record;
mod refused;
mod sources;
mod summary;
mod tcp;
mod wire;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use error::TrafficError;
pub use format::Format;
pub use limits::{ByteSize, Limits};
pub use read::FileRead;
pub use summary::{Bodies, ConnectionsSummary, GroupSummary, Summary};
pub use tcp::{ConnectionsError, WrittenConnection, connections_from_text, load_connections};

use crate::message::Recording;
use assembly::Assembly;
use limits::Budget;
use notes::Notes;

/// What was read, and from which files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    pub recording: Recording,
    /// The files that hold traces, in the order they were read.
    pub files: Vec<FileRead>,
}

/// Reads files and folders. Folders are walked in the order of names.
///
/// One bad file, or a bad place in one, does not lose the good rest: it becomes a note. Memory is bounded by `limits`.
///
/// # Errors
/// A path that cannot be read, nothing usable at all, or more than `limits` allow; each names file and position.
pub fn load(paths: &[PathBuf], limits: &Limits) -> Result<Recording, TrafficError> {
    load_with_files(paths, limits).map(|loaded| loaded.recording)
}

/// Like [`load`], and tells which files were read and what they are.
///
/// # Errors
/// As [`load`].
pub fn load_with_files(paths: &[PathBuf], limits: &Limits) -> Result<Loaded, TrafficError> {
    let mut notes = Notes::default();
    let mut assembly = Assembly::new(Budget::new(limits));
    let mut files = Vec::new();
    let mut written = Vec::new();
    for source in sources::find(paths, &mut notes)? {
        if source.named.is_written() {
            let connections = load_connections(&source.path)?;
            let (file, records) = (source.path, connections.len() as u64);
            files.push(FileRead { file, format: None, records });
            written.extend(connections);
        } else {
            files.extend(read::read(&source, limits, &mut assembly, &mut notes)?);
        }
    }
    let recorded = assembly.take_connections(&mut notes);
    let mut exchanges = Vec::new();
    for (group, drafts) in assembly.into_joined(&mut notes) {
        exchanges.extend(finish::finish(&group, drafts, limits.body_bytes));
    }
    let notes = notes.into_list();
    let earliest = exchanges.iter().filter_map(|exchange| exchange.timing.request_headers).min();
    let connections = tcp::in_order(recorded, written, earliest);
    if exchanges.is_empty() && connections.is_empty() {
        return Err(TrafficError::NothingUsable { notes });
    }
    Ok(Loaded { recording: Recording { exchanges, connections, notes }, files })
}
