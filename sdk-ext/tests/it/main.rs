//! Filters on this crate, as modules: in the host, and in the real Envoy where there is one.
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

mod behaviours;
mod modules;
mod natively;

/// Every guest as Rust of this process.
fn natives() -> wayside::vm::Modules {
    let guests = wayside_sdk_guests::ALL.into_iter();
    guests.fold(wayside::vm::Modules::new(), |modules, (name, make)| modules.natively(name, make))
}
