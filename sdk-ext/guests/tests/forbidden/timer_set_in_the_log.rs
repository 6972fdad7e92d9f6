//! A timer of a stream that is over would answer it, which crashes Envoy.
use wayside_sdk::{LogCx, Monotonic};

fn on_log(cx: &LogCx) {
    let _ = cx.stream().at(Monotonic::default(), |_| {});
}

fn main() {}
