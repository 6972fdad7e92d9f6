//! `cargo xtask bench envoy`: what filters cost a request in the real Envoy, side by side in one run.
//!
//! One Envoy with one worker has a listener for each row. A sample is a pair: some hundred requests to a listener without
//! filters and as many to the row's, in random order, and the difference of what Envoy's threads (all but the main one) spent
//! on the processor. A row is measured once a round, so rows can be compared within rounds.

mod bootstrap;
mod goals;
mod load;
mod modules;
mod rows;
mod samples;
mod statistics;

use std::path::Path;

use anyhow::{Context as _, ensure};
use indicatif::ProgressBar;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::envoy::{Process, envoy_binary};
use load::Load;
use rows::Row;
use samples::{Pair, Table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pairs of each row; fewer than 30 hide differences of some microseconds
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Requests of one sample
    #[arg(long, default_value_t = 1000)]
    requests: u32,
    /// Only rows whose name has this in it (goals that lack a row are left out)
    #[arg(long)]
    only: Option<String>,
    /// Order of samples, and the resampling of the intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Envoy and the load in the real-time class (needs the right to it): where others use the machine too
    #[arg(long)]
    realtime: bool,
    /// The samples themselves, as JSON
    #[arg(long)]
    json: bool,
}

/// # Errors
/// When `h2load` is not installed, a module does not build, Envoy does not start, or a request is not answered with 200.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    ensure!(args.rounds > 0 && args.requests > 0, "--rounds and --requests: expected more than 0");
    let envoy = envoy_binary()?;
    let load = Load::new(args.requests, args.realtime)?;
    let folder = tempfile::tempdir()?;
    let modules = modules::build(folder.path())?;
    let mut rows = rows::all(&modules);
    rows.retain(|row| args.only.as_ref().is_none_or(|part| row.name.contains(part.as_str())));
    ensure!(!rows.is_empty(), "no row is named so");
    let table =
        tokio::runtime::Runtime::new()?.block_on(measure(args, &envoy, &load, folder.path(), rows))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&table)?);
        return Ok(());
    }
    print!("{}", samples::shown(&table, args.seed));
    print!("{}", goals::shown(&table, args.seed));
    Ok(())
}

async fn measure(
    args: &Args,
    envoy: &Path,
    load: &Load,
    folder: &Path,
    rows: Vec<Row>,
) -> anyhow::Result<Table> {
    std::fs::write(folder.join("upstream.yaml"), bootstrap::upstream().to_string())?;
    let launcher = load::launcher(load::Side::Load, args.realtime, envoy);
    let upstream = Process::start(&parts(&launcher), folder, "upstream").await?;
    let port = upstream.admin.listener_port("upstream").await?;

    std::fs::write(folder.join("proxy.yaml"), bootstrap::proxy(&rows, port).to_string())?;
    let launcher = load::launcher(load::Side::Proxy, args.realtime, envoy);
    let proxy = Process::start(&parts(&launcher), folder, "proxy").await?;

    let mut table = Table::new(&rows);
    let mut chance = ChaCha8Rng::seed_from_u64(args.seed);
    let bar = ProgressBar::new((rows.len() * args.rounds) as u64);
    for round in 0..=args.rounds {
        for row in shuffled(&rows, &mut chance) {
            let base = proxy.admin.listener_port(row.setup.base()).await?;
            let own = proxy.admin.listener_port(&row.name).await?;
            let sample = async |port| -> anyhow::Result<f64> {
                let measured = samples::processor_time(proxy.id()?, || load.run(row.setup, port)).await;
                let measured = measured.with_context(|| format!("{}: {}", row.name, proxy.failed()))?;
                Ok(measured.as_nanos() as f64 / 1e3 / f64::from(args.requests))
            };
            let pair = if chance.next_u32().is_multiple_of(2) {
                let without = sample(base).await?;
                Pair { without, with: sample(own).await? }
            } else {
                let with = sample(own).await?;
                Pair { without: sample(base).await?, with }
            };
            // The first round warms up.
            if round > 0 {
                table.add(&row.name, pair);
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(table)
}

fn parts(launcher: &[std::path::PathBuf]) -> Vec<&Path> {
    launcher.iter().map(AsRef::as_ref).collect()
}

fn shuffled<'a>(rows: &'a [Row], chance: &mut ChaCha8Rng) -> Vec<&'a Row> {
    let mut keyed: Vec<_> = rows.iter().map(|row| (chance.next_u64(), row)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, row)| row).collect()
}
