//! Randomness from the host, through WASI `random_get`.

use crate::hostcalls::{self, Host};

/// Random bytes, fit for identifiers. One hostcall that returns bytes, where they are asked for: 0.8 µs.
///
/// # Errors
/// What the host answered; Envoy always has a source.
pub fn bytes<const N: usize>() -> Host<[u8; N]> {
    let mut buffer = [0; N];
    hostcalls::random(&mut buffer).map(|()| buffer)
}
