//! What was measured: pairs of samples, by row.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

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
    let before = spent(process)?;
    something().await?;
    Ok(spent(process)?.saturating_sub(before))
}

/// The kernel counts nanoseconds: the first number of each thread's `schedstat`.
fn spent(process: u32) -> anyhow::Result<Duration> {
    let threads = Path::new("/proc").join(process.to_string()).join("task");
    let mut nanos = 0;
    for thread in fs::read_dir(&threads).context("processor time is read as Linux tells it")? {
        let thread = thread?;
        if thread.file_name() == *process.to_string() {
            continue;
        }
        let text = fs::read_to_string(thread.path().join("schedstat"))?;
        let first = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
        nanos += first.with_context(|| format!("schedstat: expected numbers, found {text:?}"))?;
    }
    Ok(Duration::from_nanos(nanos))
}

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

    #[tokio::test]
    async fn a_process_that_does_nothing_spends_nothing() {
        let idle = processor_time(std::process::id(), || async { Ok(()) }).await;
        assert!(idle.is_ok_and(|spent| spent < Duration::from_secs(1)));
    }
}
