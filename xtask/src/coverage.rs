//! Which lines of the filters' crates their native tests run: unit tests, and every scenario as Rust.
//!
//! The compiler counts (`xtask/instrument`), and the tools of its own LLVM read what was counted: the component `llvm-tools`,
//! which `rust-toolchain.toml` asks for. Nothing else has to be installed.

use crate::step::{cargo, must};
use anyhow::{Context, bail};
use cargo_metadata::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Percent of the lines of each filter.
const GOAL: f64 = 90.0;

/// Lines seen and run, by file.
type Files = BTreeMap<String, (usize, usize)>;

/// Without the tests that build modules: those compile the same sources for another machine.
const TESTS: [&[&str]; 6] = [
    &["--lib"],
    &["--test", "hostile_configuration"],
    &["--test", "scenarios", "--", "as_rust_every"],
    // Of the timeout filter: thousands of requests, of which no story is told.
    &["--test", "adaptive"],
    // Of header-auth: keys that are fetched by several workers, and bytes of chance.
    &["--test", "jwks"],
    &["--test", "hostile_traffic", "--", "as_rust"],
];

/// Runs the tests and prints what they reached; an error when that is too little.
pub(crate) fn run() -> anyhow::Result<()> {
    let Some(tools) = tools()? else {
        bail!("no llvm-profdata and llvm-cov beside rustc: `rustup component add llvm-tools` gets them");
    };
    let folder = crate::root().join("target/coverage");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot delete {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let filters = filters()?;
    let mut binaries = BTreeSet::new();
    for test in TESTS {
        let chosen = test.iter().position(|argument| *argument == "--").unwrap_or(test.len());
        let mut built = instrumented(&filters);
        built.args(test.get(..chosen).unwrap_or_default());
        binaries.extend(executables(built.args([
            "--no-run",
            "--message-format",
            "json-render-diagnostics",
        ]))?);
        let mut tests = instrumented(&filters);
        must(tests.args(test).env("LLVM_PROFILE_FILE", folder.join("%p-%m.profraw")))?;
    }
    let text = trace(&tools, &folder, &binaries)?;
    print(&filters, &lines(&text, |path| fs::read_to_string(path).unwrap_or_default()))
}

/// Whether the tools are there; where they are not, the gate is told of and passed by.
pub(crate) fn is_possible() -> anyhow::Result<bool> {
    Ok(tools()?.is_some())
}

fn instrumented(filters: &[String]) -> Command {
    let mut command = cargo(["test", "--quiet"]);
    for filter in filters {
        command.args(["--package", &format!("wayside-{filter}")]);
    }
    command.env("RUSTC_WORKSPACE_WRAPPER", crate::root().join("xtask/instrument"));
    command
}

/// The folder of the tools that belong to this compiler.
fn tools() -> anyhow::Result<Option<PathBuf>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).current_dir(crate::root()).args(["--print", "target-libdir"]).output();
    let output = output.context("cannot run rustc")?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let folder = libraries.parent().map(|folder| folder.join("bin"));
    let tool = |folder: &Path, name: &str| folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    Ok(folder.filter(|folder| ["llvm-profdata", "llvm-cov"].iter().all(|name| tool(folder, name).is_file())))
}

/// What cargo builds with these arguments.
fn executables(build: &mut Command) -> anyhow::Result<Vec<PathBuf>> {
    let output = build.output().context("cannot run cargo")?;
    if !output.status.success() {
        std::io::stderr().write_all(&output.stderr)?;
        bail!("{build:?} ended with {}", output.status);
    }
    let mut found = Vec::new();
    for message in Message::parse_stream(&*output.stdout) {
        if let Message::CompilerArtifact(artifact) = message? {
            found.extend(artifact.executable.map(cargo_metadata::camino::Utf8PathBuf::into_std_path_buf));
        }
    }
    Ok(found)
}

/// What was counted, in lcov's text.
fn trace(tools: &Path, folder: &Path, binaries: &BTreeSet<PathBuf>) -> anyhow::Result<String> {
    let counts: Result<Vec<PathBuf>, _> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let merged = folder.join("merged.profdata");
    must(
        Command::new(tools.join("llvm-profdata"))
            .args(["merge", "--sparse", "-o"])
            .arg(&merged)
            .args(counts?),
    )?;
    let mut export = Command::new(tools.join("llvm-cov"));
    export.args(["export", "--format=lcov", "--instr-profile"]).arg(&merged);
    for binary in binaries {
        export.arg("--object").arg(binary);
    }
    let output = export.output().context("cannot run llvm-cov")?;
    if !output.status.success() {
        bail!("llvm-cov: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::write(folder.join("lcov.info"), &output.stdout)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
            // `filters/bundle` puts others together.
            if has_code(filter)? {
                bail!("{filter}: no line was seen at all");
            }
            println!("    -    {filter}: no code of its own");
            continue;
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

fn has_code(filter: &str) -> anyhow::Result<bool> {
    for entry in fs::read_dir(crate::root().join("filters").join(filter).join("src"))? {
        let path = entry?.path();
        if path.is_dir() || fs::read_to_string(&path)?.contains("fn ") {
            return Ok(true);
        }
    }
    Ok(false)
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
