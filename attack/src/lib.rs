//! Attacks on a gateway that authenticates: minted, sent, and judged by what comes back.
//!
//! [`Gateway`] is what is known of the target: header-auth's configuration, and credentials that are good there. From it
//! [`attacks::all`] makes [`Attack`]s, each with what [`Must`] come of it; [`run()`] sends them, in order, and [`Report`] is the
//! table. Signatures are made with `ring`, so that nothing here shares arithmetic with what verifies them.

pub mod attacks;
pub mod gateway;
pub mod keys;
pub mod message;
pub mod report;
pub mod token;

mod run;
mod wire;

/// A gateway to try the kit on: header-auth's configuration, and credentials that are good there and protect nothing.
pub const LAB: (&str, &str) = (include_str!("../lab/auth.json"), include_str!("../lab/credentials.json"));

pub use attacks::{Attack, Group, Must};
pub use gateway::{BadGateway, Gateway};
pub use message::{Message, Protocol};
pub use report::{Report, Row, Verdict};
pub use run::{Target, Unsuitable, run};
