//! Where bodies are cut: the network decides that anew each time, so what a filter does must not depend on it.

use bytes::Bytes;

use crate::{
    clock::{Rng, Seed},
    message::{Exchange, Message},
};

/// How the bodies of requests and responses reach the first filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chunking {
    #[default]
    Recorded,
    /// In one piece.
    Whole,
    /// Cut at places drawn from the seed, with empty pieces among them.
    Random,
}

/// Pieces of a body that is cut at random, empty ones included.
const PIECES_MAX: usize = 8;
/// Sets these draws apart from those of the proxies.
const STREAM: u64 = 1 << 63;

impl Chunking {
    /// Cuts the bodies of an exchange. `number` tells it apart from others.
    pub(super) fn cut(self, exchange: &mut Exchange, seed: Seed, number: u64) {
        if self == Chunking::Recorded {
            return;
        }
        let mut rng = Rng::new(seed, STREAM | number);
        for message in std::iter::once(&mut exchange.request).chain(&mut exchange.response) {
            self.cut_body(message, &mut rng);
        }
    }

    fn cut_body(self, message: &mut Message, rng: &mut Rng) {
        if message.body.is_empty() {
            return;
        }
        let whole = message.whole_body();
        message.body = match self {
            Chunking::Random => pieces(&whole, rng),
            Chunking::Recorded | Chunking::Whole => vec![whole],
        };
    }
}

fn pieces(whole: &Bytes, rng: &mut Rng) -> Vec<Bytes> {
    let mut draw = |below: usize| {
        let mut bytes = [0; 8];
        rng.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % (below as u64 + 1)).unwrap_or(0)
    };
    let mut cuts: Vec<usize> = (0..draw(PIECES_MAX - 1)).map(|_| draw(whole.len())).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain([whole.len()]);
    let begins = [0].into_iter().chain(cuts.iter().copied());
    begins.zip(ends).map(|(begin, end)| whole.slice(begin..end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_body_and_are_the_same_for_the_same_seed() {
        let whole = Bytes::from_static(b"0123456789");
        let mut empty = 0;
        for seed in 0..200 {
            let cut = |stream| pieces(&whole, &mut Rng::new(Seed(seed), stream));
            assert_eq!(cut(1).concat(), whole);
            assert_eq!(cut(1), cut(1));
            assert!((1..=PIECES_MAX).contains(&cut(1).len()));
            empty += cut(1).iter().filter(|piece| piece.is_empty()).count();
        }
        assert!(empty > 0, "empty pieces occur");
    }
}
