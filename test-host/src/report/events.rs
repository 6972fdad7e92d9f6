//! What happened outside streams. Most of it happens on every thread alike, and is told once.

use std::collections::BTreeMap;

use super::{Effect, Text};
use crate::{
    proxy::ProxyOutcome,
    trace::{Entry, FilterNumber, Thread, What},
};

/// In the order in which they happened first. Where not all workers saw an event, it says who did.
pub(super) fn events(outcome: &ProxyOutcome) -> Vec<Effect> {
    let mut events: Vec<Effect> = Vec::new();
    let mut known: BTreeMap<(u64, Option<FilterNumber>, String), Vec<usize>> = BTreeMap::new();
    for entry in outcome.trace.entries.iter().filter(|entry| told(entry)) {
        let effect = event(outcome, entry);
        let alike = known.entry((effect.at_us, entry.filter, effect.said.clone())).or_default();
        match alike.iter().copied().find(|at| !events[*at].threads.contains(&entry.thread)) {
            Some(at) => events[at].threads.push(entry.thread),
            None => {
                alike.push(events.len());
                events.push(effect);
            }
        }
    }
    let everywhere = outcome.workers as usize;
    for event in &mut events {
        let workers = event.threads.iter().filter(|thread| !thread.is_main()).count();
        if workers < everywhere {
            let names: Vec<String> = event.threads.iter().map(Thread::to_string).collect();
            event.said = format!("{} [{}]", event.said, names.join(", "));
        }
    }
    events
}

/// Counting outside streams is already in the metrics.
fn told(entry: &Entry) -> bool {
    !matches!(entry.what, What::Called { .. } | What::Counted { .. })
}

fn event(outcome: &ProxyOutcome, entry: &Entry) -> Effect {
    let name =
        entry.filter.and_then(|filter| outcome.filters.get(filter.0)).map(|filter| filter.name.clone());
    let said = match &entry.what {
        What::Logged { level, text } => format!("{level}: {}", Text::from(text)),
        What::Fault { reason } => format!("failed: {reason}"),
        What::Finding { kind, text } => format!("{kind}: {text}"),
        What::CalloutAnswered { token, answer } => format!("callout {token} answered: {answer}"),
        What::Reconfigured { text } => text.clone(),
        What::Random { bytes } => format!("drew {bytes} random bytes"),
        other => format!("{other:?}"),
    };
    let fault = matches!(entry.what, What::Fault { .. });
    let finding = entry.what.finding();
    let (at_us, threads) = (entry.at.as_micros() as u64, vec![entry.thread]);
    Effect { at_us, filter: name, said, fault, finding, threads }
}
