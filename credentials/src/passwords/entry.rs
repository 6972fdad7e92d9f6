//! What a configuration holds in the place of a secret.

use super::digest::{Digest, Pepper};
use super::{phc, stored};

/// How a secret is to be stored.
#[derive(Clone, Debug)]
pub enum Recipe {
    Sha256,
    HmacSha256(Pepper),
    Sha256Salted,
    Bcrypt { cost: u32 },
    Argon2id { kib: u32, passes: u32, lanes: u32 },
    Sha1,
}

/// Why there is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMade {
    #[error("an empty secret protects nothing")]
    Empty,
    #[error("bcrypt reads 72 bytes of a secret, and this one has more")]
    TooLong,
    #[error(
        "these costs are none that the filter takes: a bcrypt cost of 4 to 12; for argon2id at most 65536 KiB, 4 lanes, and 262144 KiB in all passes"
    )]
    Costs,
}

/// The member of an entry in JSON, such as `"sha256": "…"`. `salt` is random, and used where there is one.
///
/// # Errors
/// The filter would not take it.
pub fn make(recipe: &Recipe, secret: &[u8], salt: [u8; 16]) -> Result<String, NotMade> {
    if secret.is_empty() {
        return Err(NotMade::Empty);
    }
    Ok(match recipe {
        Recipe::Sha256 => format!("\"sha256\": \"{}\"", Digest::of(&[secret]).to_hex()),
        Recipe::HmacSha256(pepper) => {
            format!("\"hmac_sha256\": \"{}\"", pepper.digest(&[secret]).to_hex())
        }
        Recipe::Sha256Salted => {
            let shown: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
            let digest = Digest::of(&[&salt, secret]).to_hex();
            format!("\"sha256_salted\": {{\"salt\": \"{shown}\", \"digest\": \"{digest}\"}}")
        }
        Recipe::Bcrypt { cost } => {
            if !(4..=12).contains(cost) {
                return Err(NotMade::Costs);
            }
            let (hash, whole) = stored::bcrypt(*cost, salt, secret);
            if !whole {
                return Err(NotMade::TooLong);
            }
            format!("\"bcrypt\": \"{}\"", phc::to_bcrypt(*cost, salt, hash))
        }
        Recipe::Argon2id { kib, passes, lanes } => {
            // Refused before the work, which grows with the costs.
            phc::argon2id(&phc::to_argon2id(*kib, *passes, *lanes, &salt, &[0; 32]))
                .map_err(|_| NotMade::Costs)?;
            let mut hash = [0; 32];
            stored::argon2id(*kib, *passes, *lanes, &salt, secret, &mut hash).ok_or(NotMade::Costs)?;
            format!("\"argon2id\": \"{}\"", phc::to_argon2id(*kib, *passes, *lanes, &salt, &hash))
        }
        Recipe::Sha1 => format!("\"sha1\": \"{}\"", phc::to_sha1(stored::sha1(secret))),
    })
}
