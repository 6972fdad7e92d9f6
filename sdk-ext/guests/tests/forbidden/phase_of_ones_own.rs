//! Which maps there are and which can be written is Envoy's to say.
use wayside_sdk::headers::{LoggedRequest, Phase, Writable};

enum Anytime {}

impl Phase for Anytime {
    const MAP: u8 = 0;
}

impl Writable for LoggedRequest {}

fn main() {}
