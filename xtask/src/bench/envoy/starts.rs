//! What modules cost an Envoy that starts: processor time until it listens, and memory. Goals S2 and S3.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::Context as _;
use indicatif::ProgressBar;

use super::{
    bootstrap,
    load::{self, Side},
    rows::Row,
    statistics::median,
};
use wayside::parity::{Envoy, Launch};

/// What one start came to.
#[derive(Clone, Copy, Debug)]
struct Start {
    spent: Duration,
    resident_kib: u64,
}

/// Starts an Envoy for each row, over and over, and tells what it cost above one without filters.
pub(super) async fn measure(
    envoy: &Path,
    rows: &[Row],
    rounds: usize,
    realtime: bool,
    folder: &Path,
) -> anyhow::Result<String> {
    let launcher = load::launcher(Side::Proxy, realtime, envoy);
    let command: Vec<&Path> = launcher.iter().map(AsRef::as_ref).collect();
    let launch =
        Launch { command: &command, config: folder, folder, name: "", workers: 1, wasm_level: "warning" };
    let mut starts = vec![Vec::new(); rows.len() + 1];
    let bar = ProgressBar::new((starts.len() * rounds) as u64);
    for round in 0..rounds {
        for (at, starts) in starts.iter_mut().enumerate() {
            let row = at.checked_sub(1).and_then(|at| rows.get(at));
            let name = format!("start-{round}-{at}");
            let bootstrap = bootstrap::proxy(row.map_or(&[][..], std::slice::from_ref), 1);
            let config = folder.join(format!("{name}.json"));
            fs::write(&config, bootstrap.to_string())?;
            let started = Envoy::start(&Launch { config: &config, name: &name, ..launch }).await?;
            starts.push(Start::of(started.id().context("Envoy has no number")?)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let spent = |starts: &[Start]| median(starts.iter().map(|start| start.spent.as_secs_f64() * 1e3));
    let memory = |starts: &[Start]| median(starts.iter().map(|start| start.resident_kib as f64 / 1024.0));
    let (base, rest) = starts.split_first().context("nothing was started")?;
    let mut text = format!(
        "an Envoy without wasm: {:.0} ms of processor time to its start, {:.1} MiB\n",
        spent(base),
        memory(base)
    );
    for (row, starts) in rows.iter().zip(rest) {
        let _ = writeln!(
            text,
            "  {:<34} +{:>4.0} ms   +{:>5.1} MiB   {:>4} KB of wasm",
            row.name,
            spent(starts) - spent(base),
            memory(starts) - memory(base),
            row.bytes()? / 1000
        );
    }
    Ok(text)
}

impl Start {
    /// Of a process that has just become ready.
    fn of(process: u32) -> anyhow::Result<Start> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident_kib = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
        Ok(Start {
            spent: super::samples::spent_by_all(process)?,
            resident_kib: resident_kib.context("/proc/PID/status: found no VmRSS")?,
        })
    }
}
