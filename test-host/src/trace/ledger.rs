//! What guests called, from which callback, and what they were answered: what a table of fidelity is made of.

use std::collections::{BTreeMap, BTreeSet};

use super::{FilterNumber, Made};

/// The callback of hostcalls that a module makes before its first one, in its start functions.
pub const AT_START: &str = "start";

/// Kept only where a replay asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Callbacks that guests export and that ran.
    pub callbacks: BTreeSet<&'static str>,
    /// By filter and callback: what a run of it asked of the host, and how many runs asked just that.
    pub runs: BTreeMap<(FilterNumber, &'static str), BTreeMap<Made, u64>>,
    /// By hostcall and callback: the numbers answered. A `CallStatus` from `proxy_` functions, an errno from WASI's.
    pub answers: BTreeMap<(&'static str, &'static str), BTreeSet<u32>>,
    /// By path, its parts joined by dots, and callback: the statuses of reads.
    pub properties: BTreeMap<(String, &'static str), BTreeSet<u32>>,
    /// Hostcalls that this host only links.
    pub unimplemented: BTreeSet<&'static str>,
}

impl Ledger {
    pub(crate) fn answered(&mut self, hostcall: &'static str, callback: &'static str, number: u32) {
        self.answers.entry((hostcall, callback)).or_default().insert(number);
    }

    pub(crate) fn ran(&mut self, filter: FilterNumber, callback: &'static str, made: Made) {
        *self.runs.entry((filter, callback)).or_default().entry(made).or_default() += 1;
    }

    /// Takes in what another proxy's guests did.
    pub(crate) fn absorb(&mut self, other: Ledger) {
        self.callbacks.extend(other.callbacks);
        for (call, numbers) in other.answers {
            self.answers.entry(call).or_default().extend(numbers);
        }
        for (read, statuses) in other.properties {
            self.properties.entry(read).or_default().extend(statuses);
        }
        for (callback, runs) in other.runs {
            let mine = self.runs.entry(callback).or_default();
            runs.into_iter().for_each(|(made, times)| *mine.entry(made).or_default() += times);
        }
        self.unimplemented.extend(other.unimplemented);
    }

    pub(crate) fn read(&mut self, path: &[u8], callback: &'static str, status: u32) {
        let parts = path.strip_suffix(b"\0").unwrap_or(path).split(|byte| *byte == 0);
        let parts: Vec<String> = parts.map(|part| part.escape_ascii().to_string()).collect();
        self.properties.entry((parts.join("."), callback)).or_default().insert(status);
    }
}
