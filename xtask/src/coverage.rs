//! Which lines of the filters' crates their native tests run: unit tests, and every scenario as Rust.
//!
//! Not part of CI, because `cargo-llvm-cov` and LLVM's tools are not on every machine.

use crate::step::{cargo, must};
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Percent of the lines of each filter.
const GOAL: f64 = 90.0;

const TRACE: &str = "target/coverage.lcov";

/// Lines seen and run, by file.
type Files = BTreeMap<String, (usize, usize)>;

/// Runs the tests and prints what they reached.
pub(crate) fn run() -> anyhow::Result<()> {
    let there = cargo(["llvm-cov", "--version"]).output().is_ok_and(|output| output.status.success());
    if !there {
        bail!("no cargo-llvm-cov: `cargo install cargo-llvm-cov && rustup component add llvm-tools` gets it");
    }
    let filters = filters()?;
    let packages: Vec<String> =
        filters.iter().flat_map(|name| ["-p".to_owned(), format!("wayside-{name}")]).collect();
    must(cargo(["llvm-cov", "clean", "--workspace"]).env_remove("RUSTFLAGS"))?;
    // Without the tests that build modules: those compile the same sources for another machine.
    let tests: [&[&str]; 3] =
        [&["--lib"], &["--test", "hostile_configuration"], &["--test", "scenarios", "--", "as_rust_every"]];
    for test in tests {
        must(cargo(["llvm-cov", "--no-report", "-q"]).args(&packages).args(test))?;
    }
    must(cargo(["llvm-cov", "report", "--lcov", "--output-path", TRACE]).args(&packages))?;
    let text =
        fs::read_to_string(crate::root().join(TRACE)).context("the trace that llvm-cov has written")?;
    print(&filters, &lines(&text, |path| fs::read_to_string(path).unwrap_or_default()))
}

fn filters() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(crate::root().join("filters")).context("the folder of filters")? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Reads lcov's records: `SF:` begins a file, `DA:` is a line and how often it ran. Tests are not counted.
fn lines(trace: &str, source: impl Fn(&Path) -> String) -> Files {
    let mut files = Files::new();
    let (mut file, mut tests_from) = (String::new(), usize::MAX);
    for record in trace.lines() {
        if let Some(path) = record.strip_prefix("SF:") {
            path.clone_into(&mut file);
            let source = source(Path::new(path));
            let tests = source.lines().position(|line| line == "mod tests {");
            tests_from = tests.map_or(usize::MAX, |line| line + 1);
        } else if let Some((line, times)) = record.strip_prefix("DA:").and_then(|at| at.split_once(','))
            && line.parse().is_ok_and(|line: usize| line < tests_from)
            && !file.ends_with("tests.rs")
        {
            let (seen, run) = files.entry(file.clone()).or_default();
            *seen += 1;
            *run += usize::from(times != "0");
        }
    }
    files
}

#[expect(clippy::cast_precision_loss, reason = "a file has fewer lines than that")]
fn percent((seen, run): (usize, usize)) -> f64 {
    if seen == 0 { 100.0 } else { run as f64 * 100.0 / seen as f64 }
}

fn print(filters: &[String], files: &Files) -> anyhow::Result<()> {
    let mut short = Vec::new();
    for filter in filters {
        let within = format!("filters/{filter}/src/");
        let of_filter: Vec<_> = files.iter().filter(|(path, _)| path.contains(&within)).collect();
        let sum = of_filter.iter().fold((0, 0), |sum, (_, file)| (sum.0 + file.0, sum.1 + file.1));
        if sum.0 == 0 {
            bail!("{filter}: no line was seen at all");
        }
        println!("{:5.1} %  {filter}: {} of {} lines", percent(sum), sum.1, sum.0);
        for (path, lines) in of_filter.iter().filter(|(_, lines)| percent(**lines) < GOAL) {
            let name = path.split_once(&within).map_or(path.as_str(), |(_, name)| name);
            println!("         {:5.1} %  {name}: {} of {} lines", percent(**lines), lines.1, lines.0);
        }
        if percent(sum) < GOAL {
            short.push(filter.as_str());
        }
    }
    if short.is_empty() { Ok(()) } else { bail!("below {GOAL} %: {}", short.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tests_do_not_count() {
        let trace = "SF:a.rs\nDA:1,3\nDA:2,0\nDA:5,1\nend_of_record\nSF:tests.rs\nDA:1,1\nend_of_record\n";
        let files = lines(trace, |_| "one\ntwo\n#[cfg(test)]\nmod tests {\nfive\n}".to_owned());
        assert_eq!(files, Files::from([("a.rs".to_owned(), (2, 1))]));
        assert!((percent((2, 1)) - 50.0).abs() < 0.01);
    }
}
