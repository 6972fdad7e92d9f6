//! What of a provider's answer is believed.

use super::worker::Keys;

/// More bytes are not read.
pub const MAX_DOCUMENT: usize = 256 * 1024;

/// How a fetch ended.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    Came {
        status: u16,
        body: &'a [u8],
    },
    /// It had more than [`MAX_DOCUMENT`] bytes.
    TooLarge,
    /// Nothing came, or nothing whole, or it was never sent.
    None,
}

/// Why an answer changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    Unreachable,
    /// Anything but 200. A 304 too: nothing conditional was asked.
    Status,
    TooLarge,
    /// No key set, or none that could be used.
    Unusable,
}

impl Flaw {
    pub const ALL: [Flaw; 4] = [Flaw::Unreachable, Flaw::Status, Flaw::TooLarge, Flaw::Unusable];

    /// For metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Flaw::Unreachable => "unreachable",
            Flaw::Status => "status",
            Flaw::TooLarge => "too_large",
            Flaw::Unusable => "unusable",
        }
    }
}

impl<'a> Answer<'a> {
    /// The document, and the keys in it.
    pub(super) fn judge<K: Keys>(self) -> Result<(&'a [u8], K), Flaw> {
        match self {
            Answer::Came { status: 200, body } if body.len() <= MAX_DOCUMENT => {
                K::read(body).map(|keys| (body, keys)).ok_or(Flaw::Unusable)
            }
            Answer::Came { status: 200, .. } | Answer::TooLarge => Err(Flaw::TooLarge),
            // What Envoy says in the place of a provider that does not: the two cannot be told apart.
            Answer::Came { status: 503 | 504, .. } | Answer::None => Err(Flaw::Unreachable),
            Answer::Came { .. } => Err(Flaw::Status),
        }
    }
}
