//! JSON Web Signatures, Keys and Tokens: RFC 7515 to 7519 and 8037, as RFC 8725 wants them used.

mod algorithm;
mod key;
mod verifier;

pub use algorithm::{Algorithm, Hash};
pub use key::{Curve, Key, Pairing, Unfit};
pub use verifier::{Pure, Verifier};
