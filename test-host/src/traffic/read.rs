//! One file → records → the assembly, with notes on every record that is of no use.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
    sync::Arc,
};

use super::{
    Limits, TrafficError,
    assembly::Assembly,
    delimited::{Delimited, single},
    draft::Spot,
    format::{self, Format},
    json,
    json_objects::JsonObjects,
    limits::ENTRY_OVERHEAD,
    notes::Notes,
    record::{Decoded, Piece, Place, Problem, Refused},
    sources::Source,
    wire,
};
use crate::message::{Note, NoteKind};

/// A file that holds traces.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileRead {
    pub file: PathBuf,
    /// `None`: connections written out by hand.
    pub format: Option<Format>,
    /// Traces and segments used, or connections.
    pub records: u64,
}

enum Splitter<R> {
    Json(JsonObjects<R>),
    Delimited(Delimited<R>),
    Single(Option<Piece>),
}

impl<R: BufRead> Splitter<R> {
    fn next(&mut self) -> io::Result<Option<Piece>> {
        match self {
            Splitter::Json(objects) => objects.next(),
            Splitter::Delimited(messages) => messages.next(),
            Splitter::Single(piece) => Ok(piece.take()),
        }
    }
}

/// Reads a file. `None` where it is no recording, which is noted.
pub(super) fn read(
    source: &Source,
    limits: &Limits,
    assembly: &mut Assembly,
    notes: &mut Notes,
) -> Result<Option<FileRead>, TrafficError> {
    let skip = |notes: &mut Notes, text: String| {
        let at = if source.named.extension == "json" {
            Place::Text { offset: 0, line: 1, column: 1 }
        } else {
            Place::Offset(0)
        };
        notes.add(NoteKind::FileSkipped, at.in_file(&source.path), text);
        Ok(None)
    };
    let input = match open(source) {
        Ok(input) => input,
        Err(error) if source.found => return skip(notes, format!("cannot be read: {error}")),
        Err(error) => return Err(TrafficError::io(&source.path, error)),
    };
    let (splitter, format) = match input {
        Ok((mut reader, format)) => {
            let splitter = match format {
                Format::Json => Splitter::Json(JsonObjects::new(reader, limits.record_bytes)),
                Format::LengthDelimited => Splitter::Delimited(Delimited::new(reader, limits.record_bytes)),
                Format::Binary => {
                    let piece = single(&mut reader, limits.record_bytes);
                    Splitter::Single(Some(piece.map_err(|e| TrafficError::io(&source.path, e))?))
                }
            };
            (splitter, format)
        }
        Err(found) => {
            return skip(notes, format!("found {found}, expected Envoy tap traces (JSON or protobuf)"));
        }
    };
    let mut reading = Reading { source, format, assembly, notes, unknown: BTreeMap::new(), records: 0 };
    reading.run(splitter)?;
    Ok(Some(reading.end()))
}

/// The file and its format, or what was found instead of one.
fn open(source: &Source) -> io::Result<Result<(BufReader<File>, Format), String>> {
    let file = File::open(&source.path)?;
    let metadata = file.metadata()?;
    let size = metadata.is_file().then_some(metadata.len());
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let bytes = reader.fill_buf()?;
    if bytes.is_empty() {
        return Ok(Err("an empty file".to_owned()));
    }
    let head = bytes.get(..format::HEAD_BYTES).unwrap_or(bytes);
    let told = format::tell(head, size, &source.named.extension);
    Ok(told.map(|format| (reader, format)))
}

struct Reading<'a> {
    source: &'a Source,
    format: Format,
    assembly: &'a mut Assembly,
    notes: &'a mut Notes,
    /// Unknown fields: where each was first seen, and how often.
    unknown: BTreeMap<String, (Place, u64)>,
    records: u64,
}

impl Reading<'_> {
    fn run(&mut self, mut splitter: Splitter<BufReader<File>>) -> Result<(), TrafficError> {
        let file: Arc<std::path::Path> = self.source.path.clone().into();
        loop {
            let piece = match splitter.next() {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(()),
                Err(error) => return Err(TrafficError::io(&self.source.path, error)),
            };
            match piece {
                Piece::Problem(Problem { kind, at, text, head }) => {
                    self.lost(kind, at, &head);
                    self.note(kind, at, text);
                }
                Piece::Record { at, bytes } => self.record(&bytes, Spot { file: file.clone(), at })?,
            }
        }
    }

    fn record(&mut self, bytes: &[u8], spot: Spot) -> Result<(), TrafficError> {
        let decoded = match self.format {
            Format::Json => json::decode(bytes),
            Format::LengthDelimited | Format::Binary => wire::decode(bytes),
        };
        let Decoded { trace, unknown } = match decoded {
            Ok(decoded) => decoded,
            Err(Refused { line_column, text }) => {
                let at = line_column.map_or(spot.at, |inner| spot.at.inside(inner));
                let text = format!("left out: a record that is not a TraceWrapper: {text}");
                self.lost(self.kind_of_refusal(), at, bytes);
                self.note(self.kind_of_refusal(), at, text);
                return Ok(());
            }
        };
        match self.assembly.add(trace, &self.source.named, &spot, unknown.is_empty())? {
            Ok(()) => {
                self.records = self.records.saturating_add(1);
                for path in unknown.into_paths() {
                    self.unknown(path, &spot)?;
                }
            }
            Err(found) => {
                let fields = unknown.paths().join("`, `");
                let with = if fields.is_empty() { String::new() } else { format!(" but `{fields}`") };
                let text = format!(
                    "left out: {found}{with}, expected a trace or a segment of an exchange or of a socket"
                );
                self.note(NoteKind::RecordSkipped, spot.at, text);
            }
        }
        Ok(())
    }

    /// The one message of a file ends where the file does.
    fn kind_of_refusal(&self) -> NoteKind {
        match self.format {
            Format::Binary => NoteKind::TornRecord,
            Format::Json | Format::LengthDelimited => NoteKind::RecordSkipped,
        }
    }

    /// Tells the exchange too that a record which cannot be used was part of it.
    fn lost(&mut self, kind: NoteKind, at: Place, record: &[u8]) {
        let head = record.get(..Problem::HEAD_BYTES).unwrap_or(record);
        let trace_id = match self.format {
            Format::Json => json::trace_id(head),
            Format::LengthDelimited | Format::Binary => wire::trace_id(head),
        };
        if let Some(id) = trace_id {
            let text = "a segment of this exchange could not be used: see the notes on the file".to_owned();
            let note = Note { kind, place: at.in_file(&self.source.path).into(), text: text.into() };
            self.assembly.lost(&self.source.named, id, note);
        }
    }

    fn unknown(&mut self, path: String, spot: &Spot) -> Result<(), TrafficError> {
        if let Some((_, count)) = self.unknown.get_mut(&path) {
            *count = count.saturating_add(1);
        } else {
            self.assembly.take(path.len() as u64 + ENTRY_OVERHEAD, spot)?;
            self.unknown.insert(path, (spot.at, 1));
        }
        Ok(())
    }

    fn note(&mut self, kind: NoteKind, at: Place, text: String) {
        self.notes.add_in_file(kind, at.in_file(&self.source.path), text);
    }

    fn end(mut self) -> FileRead {
        for (path, (at, count)) in std::mem::take(&mut self.unknown) {
            let text = format!("field `{path}` is not read ({count} times in this file; this is the first)");
            self.note(NoteKind::UnknownField, at, text);
        }
        self.notes.end_of_file(self.source.path.display().to_string());
        FileRead { file: self.source.path.clone(), format: Some(self.format), records: self.records }
    }
}
