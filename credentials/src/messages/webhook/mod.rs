//! Webhooks signed with a shared secret, as three services and their followers do: the signature is HMAC-SHA256 over the content, with the time
//! and an id in front where the service tells them.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::message::Message;
use super::signature::Refused;

/// Who signs in which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature`: standardwebhooks.com, v1
    StandardWebhooks,
    /// `x-hub-signature-256`: the content alone is signed, so what was sent once can be sent again
    GitHub,
    /// `stripe-signature`, scheme v1
    Stripe,
}

/// How many signatures of a message are looked at: a service that changes its secret sends two.
const CODES: usize = 8;

/// A secret that both sides have.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// The fewest bytes a secret has.
    pub const LEAST: usize = 16;

    /// Reads a secret as the service shows it. `None` for one that is too short or not of the service's form.
    #[must_use]
    pub fn read(profile: Profile, text: &[u8]) -> Option<Self> {
        let bytes = match profile {
            Profile::StandardWebhooks => {
                STANDARD.decode(text.strip_prefix(b"whsec_").unwrap_or(text)).ok()?
            }
            Profile::GitHub | Profile::Stripe => text.to_vec(),
        };
        (bytes.len() >= Self::LEAST).then(|| Self(bytes.into()))
    }
}

/// What a message says of its signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Presented {
    codes: Vec<[u8; 32]>,
    /// What is signed in front of the content
    head: Vec<u8>,
    /// The last moment at which it counts, since 1970; for ever where no time is signed
    pub until: Option<Duration>,
}

impl Profile {
    /// The fields that it has to say, that with the codes first.
    #[must_use]
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::GitHub => &["x-hub-signature-256"],
            Self::Stripe => &["stripe-signature"],
            Self::StandardWebhooks => &["webhook-signature", "webhook-id", "webhook-timestamp"],
        }
    }

    /// Reads the signature's fields. `None` where there is none.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn presented(
        self,
        message: &Message<'_>,
        now: Duration,
        max_age: Duration,
    ) -> Result<Option<Presented>, Refused> {
        let (codes, head, time) = match self {
            Self::GitHub => {
                let Some(field) = only(message, "x-hub-signature-256")? else { return Ok(None) };
                let code = field.strip_prefix(b"sha256=").and_then(hexadecimal).ok_or(Refused::Malformed)?;
                return Ok(Some(Presented { codes: vec![code], head: Vec::new(), until: None }));
            }
            Self::Stripe => {
                let Some(field) = only(message, "stripe-signature")? else { return Ok(None) };
                stripe(field).ok_or(Refused::Malformed)?
            }
            Self::StandardWebhooks => {
                let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
                let [id, time, codes] = names.map(|name| only(message, name));
                match (id?, time?, codes?) {
                    (None, None, None) => return Ok(None),
                    (Some(id), Some(time), Some(codes)) => {
                        standard(id, time, codes).ok_or(Refused::Malformed)?
                    }
                    _ => return Err(Refused::Malformed),
                }
            }
        };
        // Both ways: RFC 9421 has a skew of its own, these services have one tolerance.
        if time > now.saturating_add(max_age) {
            return Err(Refused::Early);
        }
        let until = time.saturating_add(max_age);
        if until < now {
            return Err(Refused::Late);
        }
        Ok(Some(Presented { codes, head, until: Some(until) }))
    }
}

impl Presented {
    /// By which of the secrets, by their places, one of its codes was made over this content. Codes are compared in a time that does not
    /// tell where they differ.
    pub fn made_by<'s>(
        &'s self,
        secrets: &'s [Secret],
        content: &'s [u8],
    ) -> impl Iterator<Item = usize> + 's {
        let made = move |Secret(key): &Secret| {
            let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
            let mac = mac.chain_update(&self.head).chain_update(content);
            // Not a comparison of secrets: whoever knows one may know which it is.
            self.codes.iter().any(|code| mac.clone().verify_slice(code).is_ok())
        };
        secrets.iter().enumerate().filter(move |(_, secret)| made(secret)).map(|(place, _)| place)
    }

    /// What no second message may have: the digest of all that is signed.
    #[must_use]
    pub fn once(&self, content: &[u8]) -> [u8; 32] {
        use sha2::Digest as _;
        Sha256::new().chain_update(&self.head).chain_update(content).finalize().into()
    }
}

type Parts = (Vec<[u8; 32]>, Vec<u8>, Duration);

/// `t=<seconds>,v1=<code>` with any number of `v1`, and others that are passed over; signed is `<seconds>.<content>`.
fn stripe(field: &[u8]) -> Option<Parts> {
    let (mut time, mut codes) = (None, Vec::new());
    for pair in field.split(|byte| *byte == b',') {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        match (pair.get(..at)?, pair.get(at..)?.strip_prefix(b"=")?) {
            (b"t", value) if time.is_none() => time = Some(value),
            (b"t", _) => return None,
            (b"v1", value) if codes.len() < CODES => codes.push(hexadecimal(value)?),
            (b"v1", _) => return None,
            _ => {}
        }
    }
    let time = time?;
    (!codes.is_empty()).then_some((codes, [time, b"."].concat(), seconds(time)?))
}

/// `v1,<base64>` with spaces between, and other versions that are passed over; signed is `<id>.<seconds>.<content>`.
fn standard(id: &[u8], time: &[u8], field: &[u8]) -> Option<Parts> {
    // A `.` in the id would let its end be read as the time.
    let good =
        (1..=256).contains(&id.len()) && id.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.');
    if !good {
        return None;
    }
    let mut codes = Vec::new();
    for code in field.split(|byte| *byte == b' ').filter(|code| !code.is_empty()) {
        if let Some(code) = code.strip_prefix(b"v1,") {
            if codes.len() >= CODES {
                return None;
            }
            codes.push(STANDARD.decode(code).ok()?.try_into().ok()?);
        }
    }
    (!codes.is_empty()).then_some((codes, [id, b".", time, b"."].concat(), seconds(time)?))
}

/// The value of a field that may stand once.
fn only<'a>(message: &Message<'a>, name: &str) -> Result<Option<&'a [u8]>, Refused> {
    let mut values = message.values(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Refused::Ambiguous),
        (value, None) => Ok(value),
    }
}

/// Digits without a zero in front, at most twelve.
fn seconds(digits: &[u8]) -> Option<Duration> {
    if !(1..=12).contains(&digits.len()) || digits.starts_with(b"0") || !digits.iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(Duration::from_secs)
}

/// 64 digits, as these services write them: in lower case.
fn hexadecimal(digits: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
