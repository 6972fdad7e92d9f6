//! The algorithms there are: RFC 7518 section 3.1 and RFC 8037, without `none`.

/// What a signature is made with. RFC 9421's registry has other names for some of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5
    Rs(Hash),
    /// RSASSA-PSS; the hash also for the mask, and a salt of its length
    Ps(Hash),
    Es256,
    Es384,
    Es512,
    /// Ed25519 (RFC 8037); Ed448 is not supported
    EdDsa,
    Hs(Hash),
}

/// A hash of the SHA-2 family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// How many bytes it has.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
        }
    }
}

use Algorithm::{EdDsa, Es256, Es384, Es512, Hs, Ps, Rs};
use Hash::{Sha256, Sha384, Sha512};

const NAMES: [(&str, Algorithm); 13] = [
    ("RS256", Rs(Sha256)),
    ("RS384", Rs(Sha384)),
    ("RS512", Rs(Sha512)),
    ("PS256", Ps(Sha256)),
    ("PS384", Ps(Sha384)),
    ("PS512", Ps(Sha512)),
    ("ES256", Es256),
    ("ES384", Es384),
    ("ES512", Es512),
    ("EdDSA", EdDsa),
    ("HS256", Hs(Sha256)),
    ("HS384", Hs(Sha384)),
    ("HS512", Hs(Sha512)),
];

impl Algorithm {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Algorithm> {
        NAMES.iter().map(|(_, algorithm)| *algorithm)
    }

    /// By its name in JOSE. Names have case, so `nOnE` is as little a name as `none`.
    #[must_use]
    pub fn named(name: &str) -> Option<Algorithm> {
        // RFC 9864 section 2.2 gave Ed25519 a name of its own.
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, algorithm)| *algorithm == self).map_or("", |(name, _)| name)
    }

    /// Whether whoever can verify can also sign.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self, Hs(_))
    }

    /// Of the message. Ed25519 hashes for itself.
    #[must_use]
    pub fn hash(self) -> Hash {
        match self {
            Rs(hash) | Ps(hash) | Hs(hash) => hash,
            Es256 => Sha256,
            Es384 => Sha384,
            Es512 | EdDsa => Sha512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_by_its_name_and_none_is_no_algorithm() {
        for algorithm in Algorithm::all() {
            assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
        }
        for name in ["none", "nOnE", "None", "", "rs256", "RS1", "ES256K", "HS256 ", "Ed448"] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }
}
