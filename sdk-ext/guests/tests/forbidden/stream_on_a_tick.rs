//! A tick is of no stream: it has neither headers nor properties of one, and nobody to answer.
use wayside_sdk::{Root, property};

fn on_tick(root: &Root) {
    let _ = root.stream().get(&property::ROUTE_NAME);
}

fn main() {}
