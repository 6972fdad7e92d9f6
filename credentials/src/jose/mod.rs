//! JSON Web Signatures, Keys and Tokens: RFC 7515 to 7519 and 8037, as RFC 8725 wants them used.

mod algorithm;
mod claims;
mod jwk;
mod jws;
mod key;
mod reading;
mod verifier;

pub use algorithm::{Algorithm, Hash};
pub use claims::{Claims, Discord, Expectations, Wanted};
pub use jwk::{KeySet, LONGEST_KEY_ID, MOST_KEYS, NoKey, NoKeySet, Unusable};
pub use jws::{Defect, Terms, Unverified};
pub use key::{Curve, Key, Pairing, Unfit};
pub use verifier::{Pure, Verifier};
