//! What strangers may show: near a secret or near another one, by seeded chance. Both classes are alike in all but whose secret they are near.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// What is compared with the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The secret itself but for one character
    Near,
    /// Another one but for one character
    Far,
}

/// Of base64url.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A seeded source of classes, and of texts of each.
#[derive(Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    #[must_use]
    pub fn new(seed: u64) -> Chance {
        Chance(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn class(&mut self) -> Class {
        if self.0.next_u32() & 1 == 0 { Class::Near } else { Class::Far }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0.next_u64() as usize % limit.max(1)
    }

    /// The beginning of one of two texts, of letters of base64url, and from some place on others: no two alike, or few inputs would stand for many. The last
    /// letter's unused bits are none.
    pub fn wrong(&mut self, class: Class, texts: [&str; 2]) -> String {
        self.with_end(class, texts, LETTERS, 4)
    }

    /// The same of hexadecimal digits.
    pub fn wrong_digits(&mut self, class: Class, texts: [&str; 2]) -> String {
        self.with_end(class, texts, b"0123456789abcdef", 1)
    }

    /// At least these many letters are of chance.
    const END: usize = 6;

    fn with_end(&mut self, class: Class, [secret, other]: [&str; 2], letters: &[u8], unit: usize) -> String {
        let text = match class {
            Class::Near => secret,
            Class::Far => other,
        };
        let mut text = text.as_bytes().to_vec();
        let differs = self.below(text.len().saturating_sub(Self::END) + 1);
        let last = text.len().saturating_sub(1);
        for (place, letter) in text.iter_mut().enumerate().skip(differs) {
            let known = letters.iter().position(|known| known == letter).unwrap_or_default();
            let unit = if place == last { unit } else { 1 };
            let steps = letters.len() / unit;
            let least = usize::from(place == differs);
            *letter = letters[(known + unit * (least + self.below(steps - least))) % letters.len()];
        }
        String::from_utf8(text).unwrap_or_default()
    }
}
