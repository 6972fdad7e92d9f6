//! While a plugin is configured there is no stream either.
use wayside_sdk::Init;

fn configure(init: &mut Init) {
    let _ = init.stream().now();
}

fn main() {}
