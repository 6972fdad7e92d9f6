//! The `wayside` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    wayside::cli::run(std::env::args_os())
}
