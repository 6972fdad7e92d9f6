//! The document and its other tables.

use std::{collections::BTreeSet, fmt::Write as _};

use wayside::{
    proxy::{Attribute, attributes},
    vm::import_table::CALLBACKS,
};

use super::hostcalls;
use crate::behaviours::Ran;

/// How well something is emulated, and what shows it.
pub(super) struct Shown {
    pub(super) state: &'static str,
    pub(super) by: String,
    pub(super) in_envoy: &'static str,
}

/// Of the behaviours that show a row, the first that nothing excuses.
pub(super) fn shown(behaviours: &[&Ran]) -> Shown {
    let whole = behaviours.iter().find(|ran| ran.agrees());
    let Some(first) = whole.or(behaviours.first()) else {
        return Shown { state: "**not**", by: "–".to_owned(), in_envoy: "–" };
    };
    let more = behaviours.len() - 1;
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    Shown {
        state: if whole.is_some() { "emulated" } else { "partly" },
        by: format!("{}{more}", first.title()),
        in_envoy: if first.expected.is_some() { "yes" } else { "no" },
    }
}

const HEAD: &str = "# Fidelity

What the host emulates of Envoy 1.40, each row with a behaviour that shows it. Made by `cargo test` from the behaviours in
`test-host/tests/data/behaviours`; a test fails when this file is not what they show (`UPDATE_EXPECT=1` writes it anew).

*emulated*: the host and the real Envoy did the same. *partly*: only behaviours show it in which the two differ, for a reason that is
told below. **not**: nothing shows it. *in Envoy*: whether the same behaviour ran in the real Envoy, which alone writes what is expected.
";

pub(super) fn document(runs: &[Ran]) -> String {
    let mut text = HEAD.to_owned();
    let topics: BTreeSet<&str> = runs.iter().map(|ran| &ran.topic[..]).collect();
    let differing = runs.iter().filter(|ran| ran.behaviour.host_differs.is_some()).count();
    let _ = writeln!(
        text,
        "\n{} behaviours in {} topics; {differing} in which the host cannot do as Envoy does.\n\n## Hostcalls\n",
        runs.len(),
        topics.len()
    );
    hostcalls::write(&mut text, runs);
    callbacks(&mut text, runs);
    properties(&mut text, runs);
    for topic in topics {
        behaviours(&mut text, topic, runs);
    }
    differences(&mut text, runs);
    text
}

fn callbacks(text: &mut String, runs: &[Ran]) {
    text.push_str("\n## Callbacks\n\n| callback | state | shown by | in Envoy |\n|---|---|---|---|\n");
    let mut told = BTreeSet::new();
    for callback in CALLBACKS.iter().filter(|callback| told.insert(callback.name)) {
        // The host names them without the prefix.
        let name = callback.name.strip_prefix("proxy_").unwrap_or(callback.name);
        let ran: Vec<&Ran> = runs.iter().filter(|ran| ran.ledger.callbacks.contains(name)).collect();
        let Shown { state, by, in_envoy } = shown(&ran);
        let _ = writeln!(text, "| `{}` | {state} | {by} | {in_envoy} |", callback.name);
    }
}

fn properties(text: &mut String, runs: &[Ran]) {
    text.push_str(
        "\n## Properties\n\n| property | type | exists | found in | absent in | state | shown by | in Envoy |\n|---|---|---|---|---|---|---|---|\n",
    );
    for Attribute { path, kind, when } in attributes() {
        let is_it = |read: &str| {
            read == path || read.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        let (mut found, mut absent, mut behaviours) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for ran in runs {
            let reads = ran.ledger.properties.iter().filter(|((read, _), _)| is_it(read));
            let mut is_read = false;
            for ((_, callback), numbers) in reads {
                is_read = true;
                if numbers.contains(&0) {
                    found.insert(*callback);
                } else {
                    absent.insert(*callback);
                }
            }
            if is_read {
                behaviours.push(ran);
            }
        }
        let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        let Shown { state, by, in_envoy } = shown(&behaviours);
        let (found, absent) = (list(found), list(absent));
        let _ = writeln!(
            text,
            "| `{path}` | {kind:?} | {when:?} | {found} | {absent} | {state} | {by} | {in_envoy} |"
        );
    }
}

fn behaviours(text: &mut String, topic: &str, runs: &[Ran]) {
    let mut heading = topic.replace(['-', '_'], " ");
    if let Some(first) = heading.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let _ = writeln!(text, "\n## {heading}\n\n| behaviour | state | in Envoy |\n|---|---|---|");
    for ran in runs.iter().filter(|ran| ran.topic == topic) {
        let Shown { state, in_envoy, .. } = shown(&[ran]);
        let _ = writeln!(text, "| {} | {state} | {in_envoy} |", ran.behaviour.name.replace('|', "\\|"));
    }
}

fn differences(text: &mut String, runs: &[Ran]) {
    text.push_str("\n## Where the host differs\n\n");
    let mut any = false;
    for ran in runs {
        if let Some(why) = &ran.behaviour.host_differs {
            any = true;
            let _ = writeln!(text, "- {}: {}", ran.title(), why.trim().replace('\n', " "));
        }
    }
    if !any {
        text.push_str("Nowhere that a behaviour shows.\n");
    }
}
