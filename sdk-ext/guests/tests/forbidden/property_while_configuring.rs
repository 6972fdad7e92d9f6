//! Where there is no stream no property of one is written or read.
use wayside_sdk::{Init, property};

fn configure(init: &mut Init) {
    let _ = init.publish("tenant", b"shop");
    let _ = init.get(&property::ROUTE_NAME);
}

fn main() {}
