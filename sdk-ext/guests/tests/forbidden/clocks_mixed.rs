//! Wall time can step: an interval is measured on one clock, and that is the other.
use std::time::Duration;
use wayside_sdk::{Monotonic, Wall};

fn waited(since: Wall, now: Monotonic) -> Duration {
    now.since(since)
}

fn main() {}
