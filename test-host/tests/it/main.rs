//! The host's tests in one binary: one link, one cache of compiled modules.

mod build;
mod modules;
mod parity;
mod traffic;
