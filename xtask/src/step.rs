//! One step of a longer command: run, timed, and named when it fails.

use anyhow::{Context, bail};
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs steps one after another and remembers how long each took.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// Runs one step; the first that fails ends the command.
    pub(crate) fn run<T>(
        &mut self,
        name: &str,
        step: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        eprintln!("── {name}");
        let start = now();
        let result = step();
        let took = now().duration_since(start);
        self.done.push((name.to_owned(), took));
        result.with_context(|| format!("{name} failed after {}", shown(took)))
    }

    /// One line a step and the sum.
    pub(crate) fn print_timings(&self) {
        println!("\ntook");
        for (name, took) in &self.done {
            println!("{:>9}  {name}", shown(*took));
        }
        println!("{:>9}  in all", shown(self.done.iter().map(|(_, took)| *took).sum()));
    }
}

#[expect(clippy::disallowed_methods, reason = "how long CI takes is a matter of the wall clock")]
fn now() -> Instant {
    Instant::now()
}

fn shown(took: Duration) -> String {
    let tenths = took.as_millis() / 100;
    match tenths {
        0..600 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ => format!("{} min {:02} s", tenths / 600, tenths / 10 % 60),
    }
}

/// Cargo, run in the workspace's root.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::root()).args(arguments);
    if std::env::var_os(SEED).is_none() {
        command.env(SEED, seed_of_sources().to_string());
    }
    command
}

/// What proptest's cases grow from.
const SEED: &str = "PROPTEST_RNG_SEED";

/// The same for the same committed sources, so that what passed here passes there; other cases for others. 0 outside git.
fn seed_of_sources() -> u64 {
    let tree = Command::new("git").current_dir(crate::root()).args(["rev-parse", "HEAD^{tree}"]).output();
    let hash = tree.ok().filter(|output| output.status.success());
    let digits = hash.and_then(|output| output.stdout.get(..16).map(<[u8]>::to_vec)).unwrap_or_default();
    std::str::from_utf8(&digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// Runs a command that must succeed; its output is the user's to see.
pub(crate) fn must(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_as_one_says_it() {
        assert_eq!(shown(Duration::from_millis(950)), "0.9 s");
        assert_eq!(shown(Duration::from_secs(61)), "1 min 01 s");
    }

    #[test]
    fn a_failed_step_is_named() {
        let error = Steps::default().run::<()>("tests", || bail!("two failed")).expect_err("it failed");
        let shown = format!("{error:#}");
        assert!(shown.starts_with("tests failed after 0.0 s: two failed"), "{shown}");
    }

    #[test]
    fn a_command_that_fails_is_shown() {
        let error = must(&mut cargo(["no-such-command"])).expect_err("cargo does not know it").to_string();
        assert!(
            error.contains("no-such-command") && error.contains("ended with exit status: 101"),
            "{error}"
        );
    }
}
