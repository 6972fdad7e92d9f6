//! The real Envoy's binary.

use anyhow::Context;
use std::path::PathBuf;

/// Makes sure there is one and prints where.
pub(crate) fn run() -> anyhow::Result<()> {
    println!("{}", envoy_binary()?.display());
    Ok(())
}

/// Where it lies.
pub(crate) fn envoy_binary() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("ENVOY_BIN").context("fetching Envoy is merged later: set ENVOY_BIN")?;
    Ok(path.into())
}
