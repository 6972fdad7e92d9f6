//! Password hashes as text: `{SHA}` of htpasswd, bcrypt's crypt format, the PHC string format of Argon2.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::stored::{Stored, Unreadable};

/// What one check may cost: it runs where all other requests of the worker wait for it.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=12;
const ARGON2_KIB: std::ops::RangeInclusive<u32> = 8..=65_536;
const ARGON2_LANES: std::ops::RangeInclusive<u32> = 1..=4;
/// Memory, in KiB, times passes.
const ARGON2_WORK: u32 = 262_144;

/// Some writers leave the last bits as they were.
const BCRYPT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// `$2b$10$`, 22 characters of salt and 31 of hash; `$2a$` and `$2y$` mean the same today.
pub(super) fn bcrypt(text: &str) -> Result<Stored, Unreadable> {
    let rest = ["$2b$", "$2y$", "$2a$"].iter().find_map(|version| text.strip_prefix(version));
    let (cost, hash) = rest.and_then(|rest| rest.split_once('$')).ok_or(Unreadable::Form)?;
    let cost = number(cost).filter(|_| cost.len() == 2).ok_or(Unreadable::Form)?;
    let (salt, hash) = hash.split_at_checked(22).ok_or(Unreadable::Form)?;
    let salt = exactly(&BCRYPT, salt)?;
    let hash = exactly(&BCRYPT, hash)?;
    if BCRYPT_COST.contains(&cost) { Ok(Stored::Bcrypt { cost, salt, hash }) } else { Err(Unreadable::Cost) }
}

pub(super) fn to_bcrypt(cost: u32, salt: [u8; 16], hash: [u8; 23]) -> String {
    format!("$2b${cost:02}${}{}", BCRYPT.encode(salt), BCRYPT.encode(hash))
}

/// `$argon2id$v=19$m=19456,t=2,p=1$` and salt and hash in base64 without padding.
pub(super) fn argon2id(text: &str) -> Result<Stored, Unreadable> {
    let rest = text.strip_prefix("$argon2id$v=19$").ok_or(Unreadable::Form)?;
    let mut parts = rest.split('$');
    let (Some(costs), Some(salt), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Unreadable::Form);
    };
    let mut costs = costs.split(',');
    let mut cost = |name: &str| costs.next().and_then(|cost| cost.strip_prefix(name)).and_then(number);
    let (Some(kib), Some(passes), Some(lanes)) = (cost("m="), cost("t="), cost("p=")) else {
        return Err(Unreadable::Form);
    };
    if costs.next().is_some() {
        return Err(Unreadable::Form);
    }
    let salt = within(&STANDARD_NO_PAD, salt, 8..=64)?;
    let hash = within(&STANDARD_NO_PAD, hash, 16..=64)?;
    let bearable = ARGON2_KIB.contains(&kib)
        && ARGON2_LANES.contains(&lanes)
        && kib >= lanes.saturating_mul(8)
        && passes >= 1
        && kib.saturating_mul(passes) <= ARGON2_WORK;
    if bearable { Ok(Stored::Argon2id { kib, passes, lanes, salt, hash }) } else { Err(Unreadable::Cost) }
}

pub(super) fn to_argon2id(kib: u32, passes: u32, lanes: u32, salt: &[u8], hash: &[u8]) -> String {
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    format!("$argon2id$v=19$m={kib},t={passes},p={lanes}${salt}${hash}")
}

/// `{SHA}` and SHA-1 in base64, without a salt.
pub(super) fn sha1(text: &str) -> Result<Stored, Unreadable> {
    let digest = text.strip_prefix("{SHA}").ok_or(Unreadable::Form)?;
    exactly(&STANDARD, digest).map(Stored::Sha1)
}

pub(super) fn to_sha1(digest: [u8; 20]) -> String {
    format!("{{SHA}}{}", STANDARD.encode(digest))
}

/// Digits alone, without a zero before them but in pairs.
fn number(digits: &str) -> Option<u32> {
    let plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.len() <= 2 || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

fn exactly<const N: usize>(base64: &GeneralPurpose, text: &str) -> Result<[u8; N], Unreadable> {
    within(base64, text, N..=N)?.try_into().map_err(|_| Unreadable::Form)
}

fn within(
    base64: &GeneralPurpose,
    text: &str,
    sizes: std::ops::RangeInclusive<usize>,
) -> Result<Vec<u8>, Unreadable> {
    base64.decode(text).ok().filter(|bytes| sizes.contains(&bytes.len())).ok_or(Unreadable::Form)
}
