//! Acceptance cases that need the real Envoy.

use std::{
    env,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use tokio::sync::RwLock;
use wayside::parity;

mod acceptance;
mod au_10;
mod au_11;
mod au_12;
mod au_14;
mod au_15;
mod au_6;
mod au_7;
mod balance;
mod certificates;
mod chain;
mod echo;
mod hmac;
mod rb_10;
mod rb_11;
mod rb_12;
mod rb_7;
mod rb_8;
mod signed;
mod te_6;
mod te_7;
mod timing;
mod to_11;
mod to_12;
mod to_2;
mod to_4;
mod to_5;
mod to_6;
mod to_6_attempts;
mod to_7;

/// The binary: what `ENVOY_BIN` names, else what `cargo xtask envoy` has installed. `None`: there is none, and nobody insists on one
/// (`WAYSIDE_REQUIRE_ENVOY=1`).
#[expect(clippy::print_stderr, reason = "a case that did not run says so")]
fn envoy(case: &str) -> Option<PathBuf> {
    let named = env::var_os("ENVOY_BIN").map(PathBuf::from);
    let is_named = named.is_some();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("");
    match parity::find_envoy(named, &target) {
        Ok(binary) => Some(binary),
        Err(error) => {
            let required = env::var_os("WAYSIDE_REQUIRE_ENVOY").is_some_and(|value| value == "1");
            assert!(!is_named && !required, "{error}");
            eprintln!("skipped: {case}: {error}");
            None
        }
    }
}

/// Says that a case was left out for want of a variable.
#[expect(clippy::print_stderr, reason = "a case that did not run says so")]
fn skipped(case: &str, variable: &str) {
    eprintln!("skipped: {case}: {variable} is not set");
}

fn module(package: &str) -> PathBuf {
    wayside::build::guest(package).unwrap_or_else(|error| panic!("{error}")).path
}

/// Who measures time wants the machine for itself.
static QUIET: RwLock<()> = RwLock::const_new(());

static HEADER_AUTH: LazyLock<PathBuf> = LazyLock::new(|| module("wayside-header-auth"));
static RETRY_BUDGET: LazyLock<PathBuf> = LazyLock::new(|| module("wayside-retry-budget"));
static TELEMETRY: LazyLock<PathBuf> = LazyLock::new(|| module("wayside-telemetry"));
static TIMEOUT: LazyLock<PathBuf> = LazyLock::new(|| module("wayside-timeout"));
