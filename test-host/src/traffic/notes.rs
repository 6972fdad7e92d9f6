//! Collects notes on files, many of a kind as one, so that a broken file cannot fill the memory with them.

use std::collections::BTreeMap;

use crate::message::{Note, NoteKind};

/// Notes of one kind that are told one by one for a file.
const MOST: u64 = 20;

#[derive(Debug, Default)]
pub(super) struct Notes {
    list: Vec<Note>,
    /// Of the file being read.
    counts: BTreeMap<NoteKind, u64>,
}

impl Notes {
    pub(super) fn add(&mut self, kind: NoteKind, place: String, text: String) {
        self.list.push(Note { kind, place: place.into(), text: text.into() });
    }

    /// Adds a note on the file being read; beyond the first few of a kind they are only counted.
    pub(super) fn add_in_file(&mut self, kind: NoteKind, place: String, text: String) {
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add(1);
        if *count <= MOST {
            self.add(kind, place, text);
        }
    }

    /// Ends a file: says how many notes were only counted.
    pub(super) fn end_of_file(&mut self, file: String) {
        for (kind, count) in std::mem::take(&mut self.counts) {
            if let Some(more) = count.checked_sub(MOST).filter(|more| *more > 0) {
                self.add(kind, file.clone(), format!("{more} more of this kind, not listed"));
            }
        }
    }

    pub(super) fn into_list(self) -> Vec<Note> {
        self.list
    }
}
