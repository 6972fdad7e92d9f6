//! When a timer of a stream runs, Envoy has no headers for it: it can be answered, and no more.
use wayside_sdk::{Parked, name};

fn deadline(parked: &mut Parked) {
    let _ = parked.headers.set(name!("x-late"), "1");
}

fn main() {}
