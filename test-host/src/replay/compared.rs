//! Two replays of the same, held against each other field by field: of one filter as a module and as Rust, mostly.

use std::{collections::BTreeMap, fmt::Debug};

use super::Replay;
use crate::{
    proxy::{FilterInfo, Outcome, ProxyOutcome},
    trace::{Entry, Ledger, Usage},
};

/// The most that is told of one field.
const SHOWN: usize = 600;

/// What differs between two replays, a field a line: its place, what one has, what the other has. What code ran, and how many
/// instructions it took, is not compared.
pub fn differences([one, other]: [(&str, &Replay); 2]) -> Vec<String> {
    let mut found = Found { names: [one.0, other.0], lines: Vec::new() };
    let (one, other) = (one.1, other.1);
    found.field("seed", &one.seed, &other.seed);
    found.field("number of proxies", &one.proxies.len(), &other.proxies.len());
    for (a, b) in one.proxies.iter().zip(&other.proxies) {
        found.proxy(&a.name, &a.outcome, &b.outcome);
    }
    found.lines
}

/// The same of what guests called and were answered.
pub fn ledger_differences([one, other]: [(&str, &Ledger); 2]) -> Vec<String> {
    let mut found = Found { names: [one.0, other.0], lines: Vec::new() };
    found.ledger("ledger", one.1, other.1);
    found.lines
}

struct Found<'a> {
    names: [&'a str; 2],
    lines: Vec<String>,
}

impl Found<'_> {
    fn field<T: Debug + PartialEq>(&mut self, place: &str, one: &T, other: &T) {
        if one != other {
            let shown = |value: &T| {
                let text = format!("{value:?}");
                let cut = text.char_indices().nth(SHOWN).map(|(at, _)| at);
                cut.map_or_else(|| text.clone(), |at| format!("{} …", &text[..at]))
            };
            let [a, b] = self.names;
            self.lines.push(format!("{place}: {a} {}; {b} {}", shown(one), shown(other)));
        }
    }

    /// The entries of a trace up to the first that differs: what follows it mostly follows from it.
    fn entries(&mut self, place: &str, one: &[Entry], other: &[Entry]) {
        if let Some(at) = one.iter().zip(other).position(|(a, b)| a != b) {
            return self.field(&format!("{place}[{at}]"), &one[at], &other[at]);
        }
        let shorter = one.len().min(other.len());
        self.field(&format!("{place}[{shorter}]"), &one.get(shorter), &other.get(shorter));
    }

    fn usage(&mut self, place: &str, one: &Usage, other: &Usage) {
        self.field(&format!("{place}.hostcalls"), &one.hostcalls, &other.hostcalls);
        self.field(&format!("{place}.bytes_from_guest"), &one.bytes_from_guest, &other.bytes_from_guest);
        self.field(&format!("{place}.bytes_to_guest"), &one.bytes_to_guest, &other.bytes_to_guest);
    }

    fn map<K: Debug + Ord, V: Debug + PartialEq>(
        &mut self,
        place: &str,
        one: &BTreeMap<K, V>,
        other: &BTreeMap<K, V>,
    ) {
        for key in one.keys().chain(other.keys().filter(|key| !one.contains_key(key))) {
            self.field(&format!("{place}[{key:?}]"), &one.get(key), &other.get(key));
        }
    }

    fn ledger(&mut self, place: &str, one: &Ledger, other: &Ledger) {
        self.field(&format!("{place}.callbacks"), &one.callbacks, &other.callbacks);
        self.map(&format!("{place}.runs"), &one.runs, &other.runs);
        self.map(&format!("{place}.answers"), &one.answers, &other.answers);
        self.map(&format!("{place}.properties"), &one.properties, &other.properties);
        self.field(&format!("{place}.unimplemented"), &one.unimplemented, &other.unimplemented);
    }

    fn outcome(&mut self, one: &Outcome, other: &Outcome) {
        let place = one.exchange.id.to_string();
        macro_rules! fields {
            ($($field:ident),*) => {
                $(self.field(&format!("{place}.{}", stringify!($field)), &one.$field, &other.$field);)*
            };
        }
        fields!(
            number,
            exchange,
            thread,
            filtered_headers,
            upstream_request,
            downstream_response,
            finished_headers,
            details,
            response_flags,
            end,
            started,
            ended
        );
        self.entries(&format!("{place}.trace"), &one.trace.entries, &other.trace.entries);
        self.field(&format!("{place}.usage.len"), &one.usage.len(), &other.usage.len());
        for ((filter, a), (_, b)) in one.usage.iter().zip(&other.usage) {
            self.usage(&format!("{place}.usage[{}]", filter.0), a, b);
        }
    }

    fn filter(&mut self, place: &str, one: &FilterInfo, other: &FilterInfo) {
        self.field(&format!("{place}.name"), &one.name, &other.name);
        self.field(&format!("{place}.listener"), &one.listener, &other.listener);
        self.usage(&format!("{place}.usage"), &one.usage, &other.usage);
        self.usage(&format!("{place}.usage_on_main"), &one.usage_on_main, &other.usage_on_main);
    }

    fn proxy(&mut self, name: &str, one: &ProxyOutcome, other: &ProxyOutcome) {
        self.field(&format!("{name}.outcomes.len"), &one.outcomes.len(), &other.outcomes.len());
        for (a, b) in one.outcomes.iter().zip(&other.outcomes) {
            self.outcome(a, b);
        }
        self.field(&format!("{name}.filters.len"), &one.filters.len(), &other.filters.len());
        for (at, (a, b)) in one.filters.iter().zip(&other.filters).enumerate() {
            self.filter(&format!("{name}.filters[{at}]"), a, b);
        }
        self.entries(&format!("{name}.trace"), &one.trace.entries, &other.trace.entries);
        macro_rules! fields {
            ($($($field:ident).+),*) => {
                $(self.field(&format!("{name}.{}", stringify!($($field).+)), &one.$($field).+, &other.$($field).+);)*
            };
        }
        fields!(workers, connections, metrics, stats, shut_down_at, unimplemented, random_bytes);
        self.ledger(&format!("{name}.ledger"), &one.ledger, &other.ledger);
    }
}
