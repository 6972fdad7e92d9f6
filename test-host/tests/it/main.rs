//! The host's tests in one binary: one link, one cache of compiled modules.

mod build;
mod cli;
mod folder;
mod modules;
mod report;
mod traffic;
