//! The seeded source of everything random: the same seed gives the same bytes on every platform and version.

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng as _, SeedableRng},
};

/// What a run's chance grows from. It stands in every report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

#[derive(Clone, Debug)]
pub struct Rng {
    source: ChaCha12Rng,
    drawn: u64,
}

impl Rng {
    /// The n-th independent source of a seed: each proxy of a simulation has its own, so that what one draws does not
    /// change what another gets.
    pub fn new(seed: Seed, nth: u64) -> Self {
        let mut source = ChaCha12Rng::seed_from_u64(seed.0);
        source.set_stream(nth);
        Rng { source, drawn: 0 }
    }

    /// A source of a seed by a name: that of an exchange, say, which keeps it wherever in a recording it stands.
    pub fn named(seed: Seed, name: &str) -> Self {
        Self::new(seed, number_of(name))
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        self.drawn += out.len() as u64;
        self.source.fill_bytes(out);
    }

    /// A source beside this one, from the same seed: what is drawn from one does not change what the other gives.
    pub fn beside(&self) -> Self {
        let mut source = self.source.clone();
        source.set_stream(source.get_stream() | 1 << 63);
        source.set_word_pos(0);
        Rng { source, drawn: 0 }
    }

    pub fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// How many bytes have been drawn: zero proves that a run did not depend on its seed.
    pub fn drawn(&self) -> u64 {
        self.drawn
    }
}

/// A name as a number below 2⁶³: FNV-1a.
pub(crate) fn number_of(name: &str) -> u64 {
    let mixed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |mixed: u64, byte| {
        (mixed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    mixed >> 1
}
