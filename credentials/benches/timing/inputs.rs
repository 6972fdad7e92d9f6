//! What strangers may show: near the secret or far from it, by seeded chance.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// What is compared with the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The secret itself but for one character
    Near,
    /// Nothing of the secret
    Far,
}

/// Of base64url; every fourth leaves no unused bit behind at the end of 32 bytes.
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

    /// Another text as long as this one, which is of letters of base64url.
    pub fn wrong(&mut self, class: Class, right: &str) -> String {
        let mut text = right.as_bytes().to_vec();
        let last = text.len().saturating_sub(1);
        match class {
            Class::Near => {
                let place = self.below(text.len());
                let step = 4 * (1 + self.below(15));
                if let Some(letter) = text.get_mut(place) {
                    let other = LETTERS.iter().position(|known| known == letter).unwrap_or_default();
                    *letter = LETTERS[(other + step) % 64];
                }
            }
            Class::Far => {
                for (place, letter) in text.iter_mut().enumerate() {
                    let number = self.below(64);
                    *letter = LETTERS[if place == last { number & !3 } else { number }];
                }
            }
        }
        String::from_utf8(text).unwrap_or_default()
    }
}
