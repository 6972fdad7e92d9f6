//! The host's tests in one binary: one link, one cache of compiled modules.

mod support;

mod build;
mod callouts;
mod determinism;
mod hostcalls;
mod hostile_guests;
mod layering;
mod lifecycle;
mod modules;
mod streaming;
mod traffic;
