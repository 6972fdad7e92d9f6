//! What a request of each filter may cost, to the instruction: `budget.toml`, which CI holds the filters against.
//!
//! Counted are the last request of every scenario whose name begins with `steady` or is `off`, the requests before it
//! having warmed the filter up. A compiler of another version counts otherwise, so the file names its own.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::Command, sync::Arc};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use wayside::{
    scenario::{self, Scenario},
    vm::{Metering, Modules},
};

const FILE: &str = "budget.toml";

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Make what is counted now the budget
    #[arg(long)]
    bless: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    toolchain: Toolchain,
    /// By `filter/scenario`.
    requests: BTreeMap<String, Cost>,
}

/// What the numbers depend on besides the filters' sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Toolchain {
    rustc: String,
    wasmtime: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    /// Instructions, as the engine's fuel counts them.
    fuel: u64,
    hostcalls: BTreeMap<String, u64>,
}

/// Counts, and compares with the file or writes it.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let path = crate::root().join(FILE);
    let counted = count()?;
    if args.bless {
        std::fs::write(&path, counted.text()).with_context(|| format!("cannot write {FILE}"))?;
        println!("{FILE}: {} requests", counted.requests.len());
        return Ok(());
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
    let budget: Budget = toml::from_str(&text).with_context(|| format!("{FILE} is not a budget"))?;
    match compare(&budget, &counted) {
        Verdict::OtherToolchain(told) => println!("{told}"),
        Verdict::Compared { over, told } => {
            print!("{told}");
            ensure!(
                over == 0,
                "{over} over the budget; where that is meant: cargo xtask bench budget --bless"
            );
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing can be said.
    OtherToolchain(String),
    Compared {
        over: usize,
        told: String,
    },
}

/// A rise of any number, a call more and a request without a budget count as over; a fall is told, to be blessed.
fn compare(budget: &Budget, counted: &Budget) -> Verdict {
    if budget.toolchain != counted.toolchain {
        let shown = |Toolchain { rustc, wasmtime }: &Toolchain| format!("rustc {rustc}, wasmtime {wasmtime}");
        return Verdict::OtherToolchain(format!(
            "not compared: {FILE} was counted with {}, here are {}; other compilers make other code",
            shown(&budget.toolchain),
            shown(&counted.toolchain)
        ));
    }
    let (mut over, mut told) = (0, String::new());
    let mut say = |rises: bool, line: String| {
        over += usize::from(rises);
        let _ = writeln!(told, "{} {line}", if rises { "OVER " } else { "below" });
    };
    for (name, cost) in &counted.requests {
        let Some(allowed) = budget.requests.get(name) else {
            say(true, format!("{name}: has no budget"));
            continue;
        };
        if cost.fuel != allowed.fuel {
            say(cost.fuel > allowed.fuel, format!("{name}: fuel {}, budget {}", cost.fuel, allowed.fuel));
        }
        let of = |cost: &Cost, call: &str| cost.hostcalls.get(call).copied().unwrap_or(0);
        let mut calls: Vec<&String> = cost.hostcalls.keys().chain(allowed.hostcalls.keys()).collect();
        calls.sort();
        calls.dedup();
        for call in calls {
            let (made, budget) = (of(cost, call), of(allowed, call));
            if made != budget {
                say(made > budget, format!("{name}: {call} {made} times, budget {budget}"));
            }
        }
    }
    for name in budget.requests.keys().filter(|name| !counted.requests.contains_key(*name)) {
        say(true, format!("{name}: has a budget and no scenario"));
    }
    let _ = writeln!(told, "{} requests counted", counted.requests.len());
    Verdict::Compared { over, told }
}

impl Budget {
    fn text(&self) -> String {
        let Toolchain { rustc, wasmtime } = &self.toolchain;
        let mut text = format!(
            "# What the last request of each scenario costs, counted: `cargo xtask bench budget`. Any rise fails.\n\
             # Written by `cargo xtask bench budget --bless`.\n\n\
             [toolchain]\nrustc = {rustc:?}\nwasmtime = {wasmtime:?}\n"
        );
        for (name, Cost { fuel, hostcalls }) in &self.requests {
            let calls: Vec<String> =
                hostcalls.iter().map(|(call, times)| format!("{call} = {times}")).collect();
            let calls =
                if calls.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", calls.join(", ")) };
            let _ = write!(text, "\n[requests.{name:?}]\nfuel = {fuel}\nhostcalls = {calls}\n");
        }
        text
    }
}

fn count() -> anyhow::Result<Budget> {
    let modules = Arc::new(Modules::metering_by(Metering::Fuel));
    let artifacts = crate::wasm::build(wayside::build::Target::default())?;
    let resolve = |name: &str| {
        let found =
            artifacts.iter().find(|artifact| artifact.path.file_stem().is_some_and(|stem| stem == name));
        found.map(|artifact| artifact.path.clone()).ok_or_else(|| format!("no filter builds {name}.wasm"))
    };
    let filters = crate::root().join("filters");
    let mut requests = BTreeMap::new();
    for scenario in scenario::discover(&filters)? {
        if let Some(name) = name_of(&scenario, &filters) {
            let usage = scenario.cost(&modules, &resolve)?;
            let fuel = usage.fuel.with_context(|| format!("{name}: no instructions were counted"))?;
            let hostcalls = usage.hostcalls.iter().map(|(call, times)| (call.to_owned(), times)).collect();
            requests.insert(name, Cost { fuel, hostcalls });
        }
    }
    Ok(Budget { toolchain: toolchain()?, requests })
}

/// `filter/scenario`, where the scenario is counted.
fn name_of(scenario: &Scenario, filters: &Path) -> Option<String> {
    let below = scenario.folder.strip_prefix(filters).ok()?;
    let parts: Vec<_> = below.iter().filter_map(|part| part.to_str()).collect();
    match parts[..] {
        [filter, "scenarios", name] if name == "off" || name.starts_with("steady") => {
            Some(format!("{filter}/{name}"))
        }
        _ => None,
    }
}

fn toolchain() -> anyhow::Result<Toolchain> {
    let rustc = Command::new("rustc").arg("--version").current_dir(crate::root()).output();
    let rustc = String::from_utf8(rustc.context("cannot run rustc")?.stdout).context("rustc's version")?;
    let Some(rustc) = rustc.split_whitespace().nth(1) else { bail!("rustc does not tell its version") };
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(crate::root()).exec()?;
    let wasmtime = metadata.packages.iter().find(|package| package.name.as_str() == "wasmtime");
    let wasmtime = wasmtime.context("wasmtime is no dependency any more")?.version.to_string();
    Ok(Toolchain { rustc: rustc.to_owned(), wasmtime })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(fuel: u64, logs: u64) -> Budget {
        let hostcalls = BTreeMap::from([("proxy_log".to_owned(), logs)]);
        let toolchain = Toolchain { rustc: "1.95.0".to_owned(), wasmtime: "48.0.8".to_owned() };
        Budget { toolchain, requests: BTreeMap::from([("a/off".to_owned(), Cost { fuel, hostcalls })]) }
    }

    fn over(budget: &Budget, counted: &Budget) -> (usize, String) {
        match compare(budget, counted) {
            Verdict::Compared { over, told } => (over, told),
            Verdict::OtherToolchain(told) => panic!("{told}"),
        }
    }

    #[test]
    fn one_instruction_or_one_call_more_is_over_and_one_less_is_told() {
        assert_eq!(over(&budget(100, 1), &budget(100, 1)), (0, "1 requests counted\n".to_owned()));
        let (rises, told) = over(&budget(100, 1), &budget(101, 2));
        assert_eq!(rises, 2);
        assert!(
            told.starts_with("OVER  a/off: fuel 101, budget 100\nOVER  a/off: proxy_log 2 times"),
            "{told}"
        );
        let (rises, told) = over(&budget(100, 1), &budget(99, 0));
        assert_eq!(rises, 0);
        assert!(
            told.starts_with("below a/off: fuel 99, budget 100\nbelow a/off: proxy_log 0 times"),
            "{told}"
        );
    }

    #[test]
    fn a_request_on_one_side_only_is_over() {
        let none = Budget { requests: BTreeMap::new(), ..budget(0, 0) };
        assert_eq!(over(&none, &budget(1, 1)).0, 1);
        assert_eq!(over(&budget(1, 1), &none).0, 1);
    }

    #[test]
    fn other_compilers_are_named_instead_of_compared() {
        let mut other = budget(1, 0);
        other.toolchain.rustc = "1.99.0".to_owned();
        let Verdict::OtherToolchain(told) = compare(&other, &budget(9, 9)) else { panic!("compared") };
        assert!(told.contains("rustc 1.99.0, wasmtime 48.0.8, here are rustc 1.95.0"), "{told}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let written = budget(7, 3);
        assert_eq!(toml::from_str::<Budget>(&written.text()).expect("TOML"), written);
    }
}
