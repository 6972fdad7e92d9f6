//! `cargo xtask bench envoy`: what filters cost a request in the real Envoy, side by side in one run.
//!
//! One Envoy with one worker has a listener for each row. A sample is a pair: some hundred requests to a listener without
//! filters and as many to the row's, in random order, and the difference of what Envoy's threads (all but the main one) spent
//! on the processor. A row is measured once a round, so rows can be compared within rounds.

mod auth;
mod bootstrap;
mod goals;
mod load;
mod modules;
mod rows;
mod samples;
mod starts;
mod statistics;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use indicatif::ProgressBar;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::envoy::envoy_binary;
use wayside::parity::{Envoy, Launch};

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
    /// Only rows whose name has one of these in it (goals that lack a row are left out)
    #[arg(long, value_delimiter = ';')]
    only: Vec<String>,
    /// Order of samples, and the resampling of the intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Envoy and the load in the real-time class (needs the right to it): where others use the machine too
    #[arg(long)]
    realtime: bool,
    /// Processor time and memory of Envoys that start, instead of requests
    #[arg(long, conflicts_with = "json")]
    starts: bool,
    /// The samples themselves, as JSON
    #[arg(long)]
    json: bool,
    /// What of the goals is header-auth's, into its README
    #[arg(long, conflicts_with_all = ["json", "starts"])]
    write: bool,
}

/// # Errors
/// When `h2load` is not installed, a module does not build, Envoy does not start, or a request is not answered with 200.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    ensure!(args.rounds > 0 && args.requests > 0, "--rounds and --requests: expected more than 0");
    let envoy = envoy_binary()?;
    let load = Load::new(args.requests, args.realtime)?;
    let folder = tempfile::tempdir()?;
    let modules = modules::build(folder.path())?;
    let mut rows = if args.starts { rows::starts(&modules) } else { rows::all(&modules) };
    rows.retain(|row| args.only.is_empty() || args.only.iter().any(|part| row.name.contains(part.as_str())));
    ensure!(!rows.is_empty(), "no row is named so");
    let runtime = tokio::runtime::Runtime::new()?;
    if args.starts {
        let starts = starts::measure(&envoy, &rows, args.rounds, args.realtime, folder.path());
        print!("{}", runtime.block_on(starts)?);
        return Ok(());
    }
    let table = runtime.block_on(measure(args, &envoy, &load, folder.path(), rows))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&table)?);
        return Ok(());
    }
    print!("{}", samples::shown(&table, args.seed));
    print!("{}", goals::shown(&table, args.seed));
    if args.write {
        let readme = crate::root().join("filters/header-auth/README.md");
        goals::of_header_auth(&table, args.seed).write(&readme, "costs")?;
    }
    Ok(())
}

async fn measure(
    args: &Args,
    envoy: &Path,
    load: &Load,
    folder: &Path,
    rows: Vec<Row>,
) -> anyhow::Result<Table> {
    let launcher = load::launcher(load::Side::Load, args.realtime, envoy);
    let upstream = start(&launcher, folder, "upstream", &bootstrap::upstream()).await?;
    let port = listener_port(&upstream, "upstream")?;

    let launcher = load::launcher(load::Side::Proxy, args.realtime, envoy);
    let proxy = start(&launcher, folder, "proxy", &bootstrap::proxy(&rows, port)).await?;
    let process = proxy.id().context("Envoy has no number")?;

    let mut table = Table::new(&rows);
    let mut chance = ChaCha8Rng::seed_from_u64(args.seed);
    let bar = ProgressBar::new((rows.len() * args.rounds) as u64);
    for round in 0..=args.rounds {
        for row in shuffled(&rows, &mut chance) {
            let base = listener_port(&proxy, row.setup.base())?;
            let own = listener_port(&proxy, &row.name)?;
            let sample = async |port| -> anyhow::Result<f64> {
                let measured =
                    samples::processor_time(process, || load.run(row.setup, port, &row.headers)).await;
                let measured = measured.with_context(|| format!("{}: {:?}", row.name, proxy.log()))?;
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

async fn start(
    launcher: &[PathBuf],
    folder: &Path,
    name: &str,
    bootstrap: &serde_json::Value,
) -> anyhow::Result<Envoy> {
    let config = folder.join(format!("{name}.json"));
    std::fs::write(&config, bootstrap.to_string())?;
    let command: Vec<&Path> = launcher.iter().map(AsRef::as_ref).collect();
    let launch =
        Launch { command: &command, config: &config, folder, name, workers: 1, wasm_level: "warning" };
    Ok(Envoy::start(&launch).await?)
}

fn listener_port(envoy: &Envoy, name: &str) -> anyhow::Result<u16> {
    let found = envoy.listeners.get(name).map(std::net::SocketAddr::port);
    found.with_context(|| format!("found no listener {name}"))
}

fn shuffled<'a>(rows: &'a [Row], chance: &mut ChaCha8Rng) -> Vec<&'a Row> {
    let mut keyed: Vec<_> = rows.iter().map(|row| (chance.next_u64(), row)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, row)| row).collect()
}
