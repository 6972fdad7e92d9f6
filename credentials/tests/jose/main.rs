//! Tokens and keys by the vectors of others.

mod wycheproof;

use wayside_credentials::jose::{Algorithm, Defect, KeySet, Pure, Terms, Unverified};

/// Everything that keys of such a set can be used with, and no mixture of secrets with public keys.
fn terms(keys: &KeySet) -> Terms {
    let symmetric = keys.keys().any(|key| key.is_secret());
    let algorithms = Algorithm::all().filter(|algorithm| algorithm.is_symmetric() == symmetric).collect();
    Terms { algorithms, typ: None, max_keys_tried: 4 }
}

fn verify(token: &str, keys: &KeySet) -> Result<Vec<u8>, Defect> {
    let terms = terms(keys);
    Unverified::parse(token.as_bytes(), &terms)?.verify(keys, terms.max_keys_tried, &Pure)
}
