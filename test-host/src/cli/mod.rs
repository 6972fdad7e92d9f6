//! The command line: the one module that reads arguments, prints and chooses an exit status.
//!
//! Results go to standard output, diagnostics to standard error. Exit status: 0 all as expected; 1 something differed or
//! failed; 2 the input or the command line is wrong.

#![expect(clippy::print_stderr, reason = "this is the module that prints")]

mod args;
mod attack;
mod check;
mod hash_key;
mod inspect;
mod parity;
mod replay;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

/// How a command ended, other than by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    AsExpected,
    Differed,
}

/// The input or the command line is wrong: what, where, and what was expected.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadInput(String);

impl BadInput {
    fn of(error: impl std::fmt::Display) -> Self {
        BadInput(error.to_string())
    }
}

/// Runs a command line, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match args::Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // clap's own exit status for a wrong command line is 2, for --help and --version 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let verdict = match arguments.command {
        args::Command::Replay(arguments) => replay::run(&arguments),
        args::Command::Check(arguments) => check::run(&arguments),
        args::Command::Parity(arguments) => parity::run(&arguments),
        args::Command::Inspect(arguments) => inspect::run(&arguments),
        args::Command::Attack(arguments) => attack::run(&arguments),
        args::Command::HashKey(arguments) => hash_key::run(&arguments),
    };
    match verdict {
        Ok(Verdict::AsExpected) => ExitCode::SUCCESS,
        Ok(Verdict::Differed) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints to standard output; a reader that has gone away (`| head`) is no error.
fn print(text: &impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = std::io::stdout().lock().write_all(text.to_string().as_bytes());
}
