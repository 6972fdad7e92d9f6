//! Configurations that routes bring along in their metadata, each distinct text read once.

use super::{Checked, Checks, ConfigErrors, Json};
use std::cell::OnceCell;

/// Texts kept; what comes beyond is refused. Routes are the operator's, so few differ.
const KEPT: usize = 64;

/// A list that only grows, so that what it holds can be borrowed for as long as itself.
#[derive(Clone, Debug)]
pub struct Overrides<C>(OnceCell<Box<Kept<C>>>);

#[derive(Clone, Debug)]
struct Kept<C> {
    text: Vec<u8>,
    /// `None` for a text that was refused.
    config: Option<C>,
    next: Overrides<C>,
}

impl<C> Default for Overrides<C> {
    fn default() -> Overrides<C> {
        Overrides(OnceCell::new())
    }
}

impl<C> Overrides<C> {
    /// What `read` made of this text the first time; `None` if it was refused, or if too many are kept already.
    pub fn get(&self, text: &[u8], mut read: impl FnMut(&[u8]) -> Option<C>) -> Option<&C> {
        let mut list = self;
        for _ in 0..KEPT {
            let kept = list.0.get_or_init(|| {
                Box::new(Kept { text: text.to_vec(), config: read(text), next: Overrides::default() })
            });
            if kept.text == text {
                return kept.config.as_ref();
            }
            list = &kept.next;
        }
        None
    }
}

/// Reads a rule's configuration from a route's metadata, laid over the defaults.
pub(super) fn read<C: Checked>(text: &[u8], base: &Json) -> Result<C, ConfigErrors> {
    let raw: C::Raw = super::read(&base.overlaid(&super::document(text)?), "")?;
    let mut errors = ConfigErrors::default();
    let config = C::check(raw, &mut Checks::new("", &mut errors));
    errors.or(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_read_once_and_a_refused_one_stays_refused() {
        let overrides = Overrides::<usize>::default();
        let mut reads = 0;
        for text in ["a", "bb", "", "a", "", "bb"] {
            let read = |text: &[u8]| {
                reads += 1;
                (!text.is_empty()).then_some(text.len())
            };
            let expected = (!text.is_empty()).then_some(text.len());
            assert_eq!(overrides.get(text.as_bytes(), read).copied(), expected, "{text}");
        }
        assert_eq!(reads, 3);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let overrides = Overrides::<usize>::default();
        for n in 0..KEPT {
            assert_eq!(overrides.get(&[n as u8], |_| Some(n)), Some(&n));
        }
        assert_eq!(overrides.get(b"more", |_| Some(0)), None);
        assert_eq!(overrides.get(&[3], |_| None), Some(&3));
    }
}
