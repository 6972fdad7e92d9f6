//! Spans of many proxies, as trees.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Span, SpanId, TraceId};

/// All spans of one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub id: TraceId,
    /// Each behind its parent, with all that lies below it, those of one parent in the order in which they began.
    pub hops: Vec<Hop>,
    /// Spans that came more than once, as they do when an answer to an export was lost: each is among the hops once.
    pub repeated: usize,
}

/// A span in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// How many of its forebears are in the trace.
    pub depth: usize,
    /// It has a parent, and nobody exported that: the trace came from outside, or a span was lost or not sampled.
    pub parent_missing: bool,
    pub span: Span,
}

impl Trace {
    /// When its first span began, since the Unix epoch.
    pub fn started(&self) -> Duration {
        self.hops.iter().map(|hop| hop.span.started).min().unwrap_or_default()
    }

    /// From the begin of its first span to the end of its last.
    pub fn lasted(&self) -> Duration {
        let ended = self.hops.iter().map(|hop| hop.span.ended).max().unwrap_or_default();
        ended.saturating_sub(self.started())
    }

    /// How many of its spans have a parent that is not here.
    pub fn missing(&self) -> usize {
        self.hops.iter().filter(|hop| hop.parent_missing).count()
    }
}

/// Puts spans together: a trace each, in the order in which they began. The order of `spans` makes no difference, but for
/// spans that claim the same id and say different things: the first is believed.
pub fn traces(spans: &[Span]) -> Vec<Trace> {
    let mut by_trace: BTreeMap<TraceId, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        by_trace.entry(span.trace).or_default().push(span);
    }
    let mut traces: Vec<_> = by_trace.into_iter().map(|(id, spans)| trace(id, &spans)).collect();
    traces.sort_by_key(|trace| (trace.started(), trace.id));
    traces
}

fn trace(id: TraceId, spans: &[&Span]) -> Trace {
    let mut known: BTreeMap<SpanId, &Span> = BTreeMap::new();
    for span in spans {
        known.entry(span.id).or_insert(span);
    }
    let mut tree =
        Tree { children: BTreeMap::new(), left: known.keys().copied().collect(), hops: Vec::new() };
    for span in known.values() {
        let parent = span.parent.filter(|parent| known.contains_key(parent));
        tree.children.entry(parent).or_default().push(span);
    }
    for children in tree.children.values_mut() {
        children.sort_by_key(|span| (span.started, span.id));
    }
    tree.grow(None);
    // What is left has parents that lead round in a circle: no trace can begin there, and nothing is dropped for that.
    while let Some(round) = tree.left.first().and_then(|id| known.get(id)) {
        tree.grow_from(round);
    }
    Trace { id, hops: tree.hops, repeated: spans.len() - known.len() }
}

struct Tree<'a> {
    children: BTreeMap<Option<SpanId>, Vec<&'a Span>>,
    /// Those that have no place yet.
    left: BTreeSet<SpanId>,
    hops: Vec<Hop>,
}

impl<'a> Tree<'a> {
    fn grow(&mut self, parent: Option<SpanId>) {
        for root in self.children.get(&parent).cloned().unwrap_or_default() {
            self.grow_from(root);
        }
    }

    /// A loop, not a function that calls itself: how deep a trace is, those say who send it.
    fn grow_from(&mut self, root: &'a Span) {
        let mut next = vec![(0, root)];
        while let Some((depth, span)) = next.pop() {
            if !self.left.remove(&span.id) {
                continue;
            }
            let parent_missing = depth == 0 && span.parent.is_some();
            self.hops.push(Hop { depth, parent_missing, span: span.clone() });
            let below = self.children.get(&Some(span.id)).into_iter().flatten();
            next.extend(below.rev().map(|child| (depth + 1, *child)));
        }
    }
}
