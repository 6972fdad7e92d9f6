//! One key or password, as it is stored.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use sha1::Sha1;
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;

use super::digest::{Digest, Pepper};
use super::phc;

/// What a key or a password is compared with.
#[derive(Clone)]
pub enum Stored {
    /// For random keys of at least 128 bits: nothing slows down who tries words
    Sha256(Digest),
    /// With a [`Pepper`], so that it is of no use alone
    Peppered(Digest),
    Salted {
        salt: Salt,
        digest: Digest,
    },
    /// Of old password files
    Sha1([u8; 20]),
    Bcrypt {
        cost: u32,
        salt: [u8; 16],
        hash: [u8; 23],
    },
    Argon2id {
        kib: u32,
        passes: u32,
        lanes: u32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
}

/// Not secret, but of no use in a log either.
#[derive(Clone, Copy)]
pub struct Salt(pub [u8; 16]);

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Why a text is no stored password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Form,
    /// Checking it would hold up a worker for too long, or be too easy
    Cost,
}

impl Stored {
    /// # Errors
    /// Anything but `$2b$`, `$2a$` or `$2y$`, a cost of 4 to 12, and salt and hash in bcrypt's base64.
    pub fn bcrypt(text: &str) -> Result<Self, Unreadable> {
        phc::bcrypt(text)
    }

    /// # Errors
    /// Anything but `$argon2id$v=19$m=…,t=…,p=…$salt$hash` with bearable costs: at most 64 MiB, 4 lanes, and 256 MiB in all passes.
    pub fn argon2id(text: &str) -> Result<Self, Unreadable> {
        phc::argon2id(text)
    }

    /// # Errors
    /// Anything but `{SHA}` and 20 bytes in base64.
    pub fn sha1(text: &str) -> Result<Self, Unreadable> {
        phc::sha1(text)
    }

    /// Whether a check takes milliseconds, which is what protects words.
    pub fn is_slow(&self) -> bool {
        matches!(self, Self::Bcrypt { .. } | Self::Argon2id { .. })
    }

    /// Whether `secret` is what is stored. Without the pepper that it needs, nothing is.
    pub fn matches(&self, secret: &[u8], pepper: Option<&Pepper>) -> bool {
        match self {
            Self::Sha256(digest) => digest.matches(&Digest::of(&[secret])).into(),
            Self::Peppered(digest) => {
                pepper.is_some_and(|pepper| digest.matches(&pepper.digest(&[secret])).into())
            }
            Self::Salted { salt, digest } => digest.matches(&Digest::of(&[&salt.0, secret])).into(),
            Self::Sha1(digest) => digest.ct_eq(&sha1(secret)).into(),
            Self::Bcrypt { cost, salt, hash } => {
                let (made, whole) = bcrypt(*cost, *salt, secret);
                bool::from(made.ct_eq(hash)) && whole
            }
            Self::Argon2id { kib, passes, lanes, salt, hash } => {
                let mut made = vec![0; hash.len()];
                argon2id(*kib, *passes, *lanes, salt, secret, &mut made).is_some() && made.ct_eq(hash).into()
            }
        }
    }
}

/// The kind, and the first digits at most.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => write!(f, "Sha256({digest:?})"),
            Self::Peppered(digest) => write!(f, "Peppered({digest:?})"),
            Self::Salted { digest, .. } => write!(f, "Salted({digest:?})"),
            Self::Sha1([a, b, c, ..]) => write!(f, "Sha1({a:02x}{b:02x}{c:02x}…)"),
            Self::Bcrypt { cost, .. } => write!(f, "Bcrypt(cost {cost})"),
            Self::Argon2id { kib, passes, lanes, .. } => {
                write!(f, "Argon2id({kib} KiB, {passes} passes, {lanes} lanes)")
            }
        }
    }
}

pub(super) fn sha1(secret: &[u8]) -> [u8; 20] {
    Sha1::digest(secret).into()
}

/// The hash, and whether it is of the whole secret: bcrypt knows 72 bytes, and of what is longer nobody could say whether the rest was
/// right.
pub(super) fn bcrypt(cost: u32, salt: [u8; 16], secret: &[u8]) -> ([u8; 23], bool) {
    const MOST: usize = 72;
    let mut padded = secret.get(..MOST.min(secret.len())).unwrap_or_default().to_vec();
    if padded.len() < MOST {
        padded.push(0);
    }
    let made = bcrypt::bcrypt(cost, salt, &padded);
    let mut hash = [0; 23];
    hash.iter_mut().zip(made).for_each(|(to, from)| *to = from);
    (hash, secret.len() <= MOST)
}

/// `None` where Argon2 does not know such costs.
pub(super) fn argon2id(
    kib: u32,
    passes: u32,
    lanes: u32,
    salt: &[u8],
    secret: &[u8],
    to: &mut [u8],
) -> Option<()> {
    let costs = Params::new(kib, passes, lanes, Some(to.len())).ok()?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, costs).hash_password_into(secret, salt, to).ok()
}

#[cfg(test)]
mod tests;
