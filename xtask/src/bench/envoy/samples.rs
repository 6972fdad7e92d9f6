//! What was measured: pairs of samples, by row.

use std::{fmt::Write as _, fs, io, path::Path, time::Duration};

use anyhow::Context as _;
use serde::Serialize;

use super::{
    rows::{Row, Setup},
    statistics::{Estimate, Resampler, median},
};

/// Microseconds of processor time for a request, without the row's filters and with them, measured one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Pair {
    pub(super) without: f64,
    pub(super) with: f64,
}

/// All pairs of one row, in the order of the rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) copies: usize,
    #[serde(skip)]
    pub(super) setup: Setup,
    pub(super) pairs: Vec<Pair>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Table {
    pub(super) rows: Vec<Measured>,
}

impl Table {
    pub(super) fn new(rows: &[Row]) -> Self {
        let empty = |row: &Row| Measured {
            name: row.name.clone(),
            copies: row.copies,
            setup: row.setup,
            pairs: Vec::new(),
        };
        Table { rows: rows.iter().map(empty).collect() }
    }

    pub(super) fn add(&mut self, name: &str, pair: Pair) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.name == name) {
            row.pairs.push(pair);
        }
    }

    pub(super) fn row(&self, name: &str) -> Option<&Measured> {
        self.rows.iter().find(|row| row.name == name)
    }
}

impl Measured {
    /// Microseconds that one copy of the chain adds, over some of the rounds.
    pub(super) fn added(&self, rounds: &[usize]) -> f64 {
        let added = |pair: &Pair| (pair.with - pair.without) / self.copies as f64;
        median(rounds.iter().filter_map(|round| self.pairs.get(*round)).map(added))
    }

    /// How many times a request without filters.
    pub(super) fn times(&self, rounds: &[usize]) -> f64 {
        let times = |pair: &Pair| pair.with / pair.without;
        median(rounds.iter().filter_map(|round| self.pairs.get(*round)).map(times))
    }
}

/// Runs something and tells how much processor time all threads of a process but its first spent meanwhile.
pub(super) async fn processor_time<F: Future<Output = anyhow::Result<()>>>(
    process: u32,
    something: impl FnOnce() -> F,
) -> anyhow::Result<Duration> {
    let spent = || spent(process, |thread| thread != process);
    let before = spent()?;
    something().await?;
    Ok(spent()?.saturating_sub(before))
}

/// What all threads that a process has now spent since their start.
pub(super) fn spent_by_all(process: u32) -> anyhow::Result<Duration> {
    spent(process, |_| true)
}

/// The kernel counts nanoseconds: the first number of each thread's `schedstat`.
fn spent(process: u32, counts: impl Fn(u32) -> bool) -> anyhow::Result<Duration> {
    let threads = Path::new("/proc").join(process.to_string()).join("task");
    let mut nanos = 0;
    for thread in fs::read_dir(&threads).context("processor time is read as Linux tells it")? {
        let thread = thread?;
        let number = thread.file_name().to_string_lossy().parse().unwrap_or(process);
        if counts(number) {
            let text = match fs::read_to_string(thread.path().join("schedstat")) {
                Ok(text) => text,
                Err(error) if ended(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let first = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
            nanos += first.with_context(|| format!("schedstat: expected numbers, found {text:?}"))?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// Whether the thread has ended since the folder was listed: the file is gone, or, once open, there is nobody to ask.
fn ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(NO_SUCH_PROCESS)
}

/// `ESRCH`.
const NO_SUCH_PROCESS: i32 = 3;

/// The table, one line a row.
pub(super) fn shown(table: &Table, seed: u64) -> String {
    let mut text = String::new();
    for setup in Setup::ALL {
        let rows: Vec<_> = table.rows.iter().filter(|row| row.setup == setup).collect();
        let without = median(rows.iter().flat_map(|row| &row.pairs).map(|pair| pair.without));
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}: {without:.1} µs of processor time a request", setup.base());
        for row in rows {
            let added = Estimate::of(row.pairs.len(), &mut Resampler::new(seed), |rounds| row.added(rounds));
            let (low, high) = quartiles(row);
            let _ = writeln!(
                text,
                "  {:<34} +{:>5.1} µs [{:.1}-{:.1}]   quartiles {low:.1}-{high:.1}",
                row.name, added.value, added.low, added.high
            );
        }
    }
    text
}

fn quartiles(row: &Measured) -> (f64, f64) {
    let mut added: Vec<f64> =
        row.pairs.iter().map(|pair| (pair.with - pair.without) / row.copies as f64).collect();
    added.sort_by(f64::total_cmp);
    let at =
        |quarter: usize| added.get(added.len().saturating_sub(1) * quarter / 4).copied().unwrap_or(f64::NAN);
    (at(1), at(3))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn table() -> Table {
        let pairs = vec![Pair { without: 10.0, with: 26.0 }, Pair { without: 12.0, with: 28.0 }];
        let row = |name: &str, copies| Measured {
            name: name.to_owned(),
            copies,
            setup: Setup::Direct,
            pairs: pairs.clone(),
        };
        Table { rows: vec![row("one", 1), row("eight", 8)] }
    }

    #[test]
    fn of_eight_copies_the_average_is_told() {
        let table = table();
        let added = |name: &str| table.row(name).map(|row| row.added(&[0, 1]));
        assert_eq!((added("one"), added("eight")), (Some(16.0), Some(2.0)));
        let text = shown(&table, 1);
        assert!(text.starts_with("no filter: 11.0 µs"), "{text}");
        assert!(text.contains("eight") && text.contains("+  2.0 µs [2.0-2.0]"), "{text}");
    }

    #[test]
    fn a_thread_that_ends_meanwhile_is_no_error() {
        let process = std::process::id();
        let running = AtomicBool::new(true);
        let read = std::thread::scope(|scope| {
            scope.spawn(|| {
                while running.load(Ordering::Relaxed) {
                    let _ = std::thread::spawn(|| ()).join();
                }
            });
            let read: anyhow::Result<Vec<_>> = (0..500).map(|_| spent_by_all(process)).collect();
            running.store(false, Ordering::Relaxed);
            read
        });
        assert_eq!(read.map(|read| read.len()).map_err(|error| format!("{error:#}")), Ok(500));
    }

    #[tokio::test]
    async fn a_process_that_waits_spends_nothing() -> anyhow::Result<()> {
        let mut waiting = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let spent = processor_time(waiting.id(), || async { Ok(()) }).await;
        waiting.kill()?;
        waiting.wait()?;
        assert_eq!(spent?, Duration::ZERO);
        Ok(())
    }
}
