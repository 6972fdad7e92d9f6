//! The first thing a visitor runs: the bundled recording through the four filters.

use crate::step::cargo;
use anyhow::{Context, bail};
use wayside::build::Target;

const ENVOY_CONFIG: &str = "examples/envoy/envoy.yaml";
const RECORDING: &str = "test-host/recordings/bookshop";
const REPORT: &str = "target/demo/report.json";
const PAGE: &str = "target/demo/report.html";

/// Builds the filters, replays, and says where the report lies.
pub(crate) fn run() -> anyhow::Result<()> {
    for (artifact, _) in crate::wasm::install(Target::default())? {
        println!("{artifact}");
    }
    let report = crate::root().join(REPORT);
    if let Some(folder) = report.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    // What lies there from another run must not pass for this one's.
    if report.exists() {
        std::fs::remove_file(&report).with_context(|| format!("cannot delete {}", report.display()))?;
    }
    let status = cargo(["run", "--quiet", "--package", "wayside", "--", "replay"])
        .args(["--envoy", ENVOY_CONFIG, "--traffic", RECORDING, "--fuel", "--json", REPORT, "--html", PAGE])
        .status()
        .context("cannot run cargo")?;
    match status.code() {
        // 1: something differed from the recording, which is what filters are for.
        Some(0 | 1) if report.is_file() => {
            println!("\nthe same as a page: {PAGE}\nthe same as JSON:   {REPORT}");
            Ok(())
        }
        Some(0 | 1) => bail!("wayside replay ended with {status}, but wrote no {REPORT}"),
        _ => bail!("wayside replay ended with {status}"),
    }
}
