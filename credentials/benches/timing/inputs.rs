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

    /// One of two texts with another letter of base64url in a place of chance; the last one's unused bits stay what they are.
    pub fn wrong(&mut self, class: Class, [secret, other]: [&str; 2]) -> String {
        let mut text = match class {
            Class::Near => secret,
            Class::Far => other,
        }
        .as_bytes()
        .to_vec();
        let place = self.below(text.len());
        let step = 4 * (1 + self.below(15));
        if let Some(letter) = text.get_mut(place) {
            let known = LETTERS.iter().position(|known| known == letter).unwrap_or_default();
            *letter = LETTERS[(known + step) % 64];
        }
        String::from_utf8(text).unwrap_or_default()
    }

    /// The same of hexadecimal digits.
    pub fn wrong_digits(&mut self, class: Class, [secret, other]: [&str; 2]) -> String {
        let mut text = match class {
            Class::Near => secret,
            Class::Far => other,
        }
        .as_bytes()
        .to_vec();
        let place = self.below(text.len());
        let step = 1 + self.below(15);
        if let Some(digit) = text.get_mut(place) {
            let known = char::from(*digit).to_digit(16).unwrap_or_default() as usize;
            *digit = b"0123456789abcdef"[(known + step) % 16];
        }
        String::from_utf8(text).unwrap_or_default()
    }
}
