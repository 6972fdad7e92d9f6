//! `cargo xtask bench amplification` and its like: what `wayside-proof` measures, printed, and written into READMEs.

use std::{path::Path, time::SystemTime};

use anyhow::{Context as _, ensure};
use wayside_proof::{Rate, amplification, attacks, chain, recovery, table::Table, uploads};

use crate::envoy::envoy_binary;

#[derive(Debug, clap::Args)]
pub(crate) struct Amplification {
    /// Of each row
    #[arg(long, default_value_t = 8)]
    seconds: u32,
    /// Requests a second
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// Of Envoy; several for a column each
    #[arg(long, value_delimiter = ',', default_value = "2")]
    workers: Vec<u32>,
    /// Into the README of the filter
    #[arg(long)]
    write: bool,
}

pub(super) fn amplification(args: &Amplification) -> anyhow::Result<()> {
    ensure!(args.seconds > 0 && args.rate > 0, "--seconds and --rate: expected more than 0");
    let envoy = envoy_binary()?;
    let module = wayside::build::guest("wayside-retry-budget")?;
    let requests = args.rate.checked_mul(args.seconds).context("--seconds: too many")?;
    let rate = Rate { requests, per_second: args.rate };
    let table = run(amplification::table(&envoy, &module.path, rate, &args.workers))?;
    show(&table, args.write, "filters/retry-budget/README.md", "amplification")
}

#[derive(Debug, clap::Args)]
pub(crate) struct Uploads {
    /// Of each row
    #[arg(long, default_value_t = 200)]
    requests: u32,
    /// Into the README of the filter
    #[arg(long)]
    write: bool,
}

pub(super) fn uploads(args: &Uploads) -> anyhow::Result<()> {
    ensure!(args.requests > 0, "--requests: expected more than 0");
    let envoy = envoy_binary()?;
    let module = wayside::build::guest("wayside-timeout")?;
    let table = run(uploads::table(&envoy, &module.path, args.requests))?;
    show(&table, args.write, "filters/timeout/README.md", "uploads")
}

#[derive(Debug, clap::Args)]
pub(crate) struct Chain {
    /// Of each row
    #[arg(long, default_value_t = 600)]
    requests: u32,
    /// Requests a second
    #[arg(long, default_value_t = 60)]
    rate: u32,
    /// Into the README of the filter
    #[arg(long)]
    write: bool,
}

pub(super) fn chain(args: &Chain) -> anyhow::Result<()> {
    ensure!(args.requests > 0 && args.rate > 0, "--requests and --rate: expected more than 0");
    let envoy = envoy_binary()?;
    let module = wayside::build::guest("wayside-timeout")?;
    let rate = Rate { requests: args.requests, per_second: args.rate };
    let table = run(chain::table(&envoy, &module.path, rate))?;
    show(&table, args.write, "filters/timeout/README.md", "chain")
}

#[derive(Debug, clap::Args)]
pub(crate) struct Recovery {
    /// Runs of each row
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Into the README of the filter
    #[arg(long)]
    write: bool,
}

pub(super) fn recovery(args: &Recovery) -> anyhow::Result<()> {
    ensure!(args.seeds > 0, "--seeds: expected more than 0");
    show(&recovery::table(args.seeds), args.write, "filters/retry-budget/README.md", "recovery")
}

#[derive(Debug, clap::Args)]
pub(crate) struct Attacks {
    /// Into the README of the filter
    #[arg(long)]
    write: bool,
}

#[expect(clippy::disallowed_methods, reason = "tokens are minted for the real Envoy's clock")]
pub(super) fn attacks(args: &Attacks) -> anyhow::Result<()> {
    let envoy = envoy_binary()?;
    let module = wayside::build::guest("wayside-header-auth")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let table = run(attacks::table(&envoy, &module.path, now))?;
    show(&table, args.write, "filters/header-auth/README.md", "attacks")
}

fn run<T>(measured: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Runtime::new()?.block_on(measured)
}

fn show(table: &Table, write: bool, readme: &str, name: &str) -> anyhow::Result<()> {
    print!("{}", table.markdown());
    if write { table.write(&crate::root().join(Path::new(readme)), name) } else { Ok(()) }
}
