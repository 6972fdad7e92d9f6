//! What proves who is calling, judged by pure functions: time, chance and the host come in as arguments.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod jose;
pub mod jwks;
pub mod messages;
pub mod passwords;
pub mod timestamp;
