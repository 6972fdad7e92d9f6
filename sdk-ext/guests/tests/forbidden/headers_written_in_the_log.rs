//! What is over cannot be changed.
use wayside_sdk::{LogCx, name};

fn on_log(cx: &mut LogCx) {
    let _ = cx.response.set(name!("x-late"), "1");
}

fn main() {}
