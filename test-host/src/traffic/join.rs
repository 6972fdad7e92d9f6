//! Streamed and buffered traces of the same exchanges, made one: what the first filter saw from the streamed one, times and
//! addresses from the buffered one.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{
    assembly::Drafts,
    draft::{Draft, Part},
};
use crate::message::{Note, NoteKind};

/// A draft, and the forms it was recorded in.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) draft: Draft,
    pub(super) streamed: bool,
}

/// Pairs by trace id where the buffered trace has one. One in a file with others has none: it is paired by its
/// place if the two files are in step, or by what is in it, a pair that is the only one possible first, and at last by order.
pub(super) fn join(drafts: Drafts) -> Vec<Joined> {
    let mut pairing = Pairing {
        streamed: drafts.streamed.into_iter().map(|draft| Joined { draft, streamed: true }).collect(),
        buffered: drafts.buffered.into_iter().map(Some).collect(),
        taken: Vec::new(),
    };
    pairing.taken.resize(pairing.streamed.len(), false);
    pairing.pass(Sure::Any, |draft| draft.trace_id.map(u128::from));
    let unnumbered = |buffered: &Draft| buffered.trace_id.is_none();
    pairing.pass_in_step();
    if pairing.buffered.iter().flatten().any(unnumbered) {
        for key in [all_headers, request_line, request_id] {
            pairing.pass_unnumbered(Sure::OnlyOne, key);
        }
        for key in [all_headers, request_line] {
            pairing.pass_unnumbered(Sure::ByOrder, key);
        }
    }
    let rest = pairing.buffered.into_iter().flatten().map(|draft| Joined { draft, streamed: false });
    pairing.streamed.into_iter().chain(rest).collect()
}

/// Which pairs of drafts with equal keys a pass makes.
#[derive(Clone, Copy, PartialEq)]
enum Sure {
    /// The first with the first, and so on: the key is an identity.
    Any,
    /// Only where there is one of each.
    OnlyOne,
    /// The first with the first, with a note that this is a guess.
    ByOrder,
}

struct Pairing {
    streamed: Vec<Joined>,
    buffered: Vec<Option<Draft>>,
    /// Whether a streamed draft has its buffered one.
    taken: Vec<bool>,
}

impl Pairing {
    fn pass_unnumbered(&mut self, sure: Sure, key: fn(&Draft) -> Option<u128>) {
        self.run(sure, key, |buffered| buffered.trace_id.is_none());
    }

    fn pass(&mut self, sure: Sure, key: fn(&Draft) -> Option<u128>) {
        self.run(sure, key, |_| true);
    }

    fn run(&mut self, sure: Sure, key: fn(&Draft) -> Option<u128>, eligible: fn(&Draft) -> bool) {
        let mut classes: BTreeMap<u128, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (index, joined) in self.streamed.iter().enumerate().filter(|(index, _)| !self.taken[*index]) {
            if let Some(key) = key(&joined.draft) {
                classes.entry(key).or_default().0.push(index);
            }
        }
        for (index, draft) in self.buffered.iter().enumerate() {
            let key = draft.as_ref().filter(|draft| eligible(draft)).and_then(key);
            if let Some((_, of_buffered)) = key.and_then(|key| classes.get_mut(&key)) {
                of_buffered.push(index);
            }
        }
        for (of_streamed, mut of_buffered) in classes.into_values() {
            let alone = of_streamed.len() == 1 && of_buffered.len() == 1;
            if sure == Sure::OnlyOne && !alone {
                continue;
            }
            // Streamed traces begin with the request, buffered ones are written at the end of the exchange.
            let time =
                |index: &usize| self.buffered[*index].as_ref().and_then(|draft| draft.timing.request_headers);
            of_buffered.sort_by_key(time);
            for (streamed, buffered) in of_streamed.into_iter().zip(of_buffered) {
                self.pair(streamed, buffered, sure == Sure::ByOrder && !alone);
            }
        }
    }

    /// Two files of the same streams, both in the order in which these began, as `cargo xtask record` merges them: the
    /// n-th is the n-th, and what they say agrees at every place. That is no guess.
    fn pass_in_step(&mut self) {
        let order = self.by_start();
        let agree = |(joined, index): (&Joined, &usize)| {
            let buffered = self.buffered.get(*index).and_then(Option::as_ref);
            buffered.is_some_and(|buffered| same_exchange(&joined.draft, buffered))
        };
        let in_step = order.len() == self.streamed.len()
            && of_one_file(self.streamed.iter().map(|joined| &joined.draft))
            && of_one_file(self.buffered.iter().flatten())
            && self.buffered.iter().flatten().all(|buffered| buffered.trace_id.is_none())
            && self.streamed.iter().zip(&order).all(agree);
        if in_step {
            for (streamed, buffered) in order.into_iter().enumerate() {
                self.pair(streamed, buffered, false);
            }
        }
    }

    /// The buffered drafts that have no partner yet, by the time at which their streams began.
    fn by_start(&self) -> Vec<usize> {
        let waiting =
            self.buffered.iter().enumerate().filter_map(|(index, draft)| Some((index, draft.as_ref()?)));
        let mut order: Vec<_> = waiting.map(|(index, draft)| (draft.timing.request_headers, index)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, index)| index).collect()
    }

    fn pair(&mut self, streamed: usize, buffered: usize, guessed: bool) {
        let Some(other) = self.buffered[buffered].take() else {
            return;
        };
        self.taken[streamed] = true;
        let draft = &mut self.streamed[streamed].draft;
        if guessed {
            let text = format!(
                "times and addresses are those of the buffered trace at {}, taken by order: several fit",
                other.spot.shown()
            );
            draft.notes.push(Note {
                kind: NoteKind::PairedByOrder,
                place: draft.spot.shown().into(),
                text: text.into(),
            });
        }
        merge(draft, other);
    }
}

fn merge(draft: &mut Draft, other: Draft) {
    draft.timing = other.timing;
    draft.connection = other.connection;
    draft.notes.extend(other.notes);
    fill_body(&mut draft.request, other.request);
    match (&mut draft.response, other.response) {
        (Some(response), Some(other)) => fill_body(response, other),
        (response @ None, Some(found)) => {
            let text = "the streamed trace has no response; it is the buffered one's, which shows what later filters and the router made of it";
            draft.notes.push(Note {
                kind: NoteKind::HeadersAfterLaterFilters,
                place: other.spot.shown().into(),
                text: text.into(),
            });
            *response = Some(found);
        }
        (_, None) => {}
    }
}

/// A body that the streamed trace has only in part, and the buffered one whole.
fn fill_body(part: &mut Part, other: Part) {
    if part.cut && !other.cut && other.recorded > part.recorded {
        part.chunks = other.chunks;
        part.recorded = other.recorded;
        part.kept = other.kept;
        part.cut = false;
        part.blanks = other.blanks;
        part.borders_lost = true;
    }
}

/// Everything that the headers say, but for what Envoy's router, connection manager and codec change behind the first filter.
fn all_headers(draft: &Draft) -> Option<u128> {
    let blocks = [Some(&draft.request.headers), draft.response.as_ref().map(|r| &r.headers)];
    let mut said = Vec::new();
    for block in blocks {
        let headers = block.into_iter().flatten().filter(|h| !h.name.starts_with(b"x-envoy-"));
        said.push(headers.collect::<Vec<_>>());
    }
    digest(&said)
}

fn of_one_file<'a>(mut drafts: impl Iterator<Item = &'a Draft>) -> bool {
    let first = drafts.next();
    first.is_some_and(|first| drafts.all(|draft| draft.spot.file == first.spot.file))
}

/// Whether two traces can be of one exchange: the same request, and no two statuses.
fn same_exchange(streamed: &Draft, buffered: &Draft) -> bool {
    let status = |draft: &Draft| draft.response.as_ref().and_then(|r| r.headers.first(b":status")).cloned();
    let statuses = status(streamed).zip(status(buffered));
    request_line(streamed) == request_line(buffered) && statuses.is_none_or(|(one, other)| one == other)
}

fn request_line(draft: &Draft) -> Option<u128> {
    let first = |name| draft.request.headers.first(name);
    digest(&[first(b":method"), first(b":authority"), first(b":path"), first(b"x-request-id")])
}

fn request_id(draft: &Draft) -> Option<u128> {
    digest(draft.request.headers.first(b"x-request-id")?)
}

fn digest<T: Hash + ?Sized>(value: &T) -> Option<u128> {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        value.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    Some(half(0) << 64 | half(1))
}
