//! The host against a bare wasmtime loop that does the same calls of the same guests, in one process, in rounds that
//! alternate: `cargo xtask bench host`. Goals are ratios; nothing but `--gate` fails by them.
#![expect(clippy::print_stdout, reason = "a command line tool talks to its user")]

mod bare;
mod measure;
mod ours;
mod rows;
mod starts;
mod traffic;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use rows::Row;

/// The host against a bare wasmtime loop
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds of each row, after one that does not count
    #[arg(long, default_value_t = 25)]
    rounds: usize,
    /// Exchanges of a round
    #[arg(long, default_value_t = 2_000)]
    exchanges: usize,
    /// Only rows whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Write the rows as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail where a ratio is beyond its goal by more than 15 %
    #[arg(long)]
    gate: bool,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// What a noisy machine may add to a goal before it counts as missed.
const MARGIN: f64 = 1.15;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    println!("{}", rows::HEADING);
    let mut rows: Vec<Row> = Vec::new();
    for measure in rows::ALL {
        let (name, run) = measure;
        if name.contains(&arguments.only) {
            let row = run(name, arguments.rounds, arguments.exchanges);
            println!("{row}");
            rows.push(row);
        }
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_vec_pretty(&rows).expect("rows are JSON");
        std::fs::write(path, text).expect("the file can be written");
    }
    let failed = rows.iter().filter(|row| row.misses(MARGIN)).count();
    if failed > 0 && arguments.gate {
        println!("\n{failed} beyond goal × {MARGIN}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
