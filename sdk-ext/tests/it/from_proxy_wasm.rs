//! `FROM_PROXY_WASM.md`: one filter on two SDKs. Same outcome, but for the traps; and what each costs.

use super::behaviours;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};
use wayside::build::{Artifact, Guest};
use wayside::scenario::Scenario;
use wayside::vm::{Metering, Modules};

const SDKS: [&str; 2] = ["proxy-wasm", "wayside-sdk"];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Details of a local reply are `proxy-wasm`'s to leave out: its local replies have none.
fn without_details(text: &str) -> String {
    let details = |line: &str| match line.trim_start().strip_prefix("access log: ") {
        Some(told) if told.starts_with("api_key.") || told.starts_with("- ") || told.starts_with(" ") => {
            "  access log: of the filter's reply".to_owned()
        }
        _ => line.to_owned(),
    };
    text.lines().map(details).collect::<Vec<_>>().join("\n")
}

/// What is compared is what the real Envoy was seen to do; `behaviours` compares both with it.
#[test]
fn the_same_filter_on_two_sdks_does_the_same_but_for_the_traps() {
    let topic = behaviours::topics()
        .into_iter()
        .find(|topic| topic.name == "from_proxy_wasm")
        .expect("its behaviours");
    let seen = behaviours::expected(&topic);
    let (mut same, mut traps) = (0, 0);
    for name in topic.behaviours.iter().filter_map(|behaviour| behaviour.name.strip_suffix(", on proxy-wasm"))
    {
        let [before, now] = SDKS.map(|sdk| &seen[&format!("{name}, on {sdk}")]);
        if name.starts_with("TRAP") {
            assert_ne!(without_details(before), without_details(now), "{name} is no trap");
            traps += 1;
        } else {
            assert_eq!(without_details(before), without_details(now), "{name}");
            same += 1;
        }
    }
    assert!(same >= 7 && traps >= 2, "{same} and {traps}");
}

fn built() -> [Artifact; 2] {
    let build = |guest: Guest| guest.manifest_dir(here()).build().unwrap_or_else(|error| panic!("{error}"));
    [
        build(Guest::package("wayside-probes").example("api-key-proxy-wasm")),
        build(Guest::package("wayside-sdk-guests").example("api-key")),
    ]
}

/// The table of the page, as it must stand there; `UPDATE_EXPECT=1` writes it.
#[test]
fn what_the_page_says_it_costs_is_what_is_counted() {
    let modules = Arc::new(Modules::metering_by(Metering::Fuel));
    let built = built();
    let mut table = "| | on `proxy-wasm` | on `wayside-sdk` |\n|---|---|---|\n".to_owned();
    let kilobytes = |guest: &Artifact| guest.len.div_ceil(1000);
    let _ = writeln!(table, "| module, KB | {} | {} |", kilobytes(&built[0]), kilobytes(&built[1]));
    for (folder, told) in
        [("known_key", "a key of the configuration"), ("asked_key", "a key that is asked for")]
    {
        let scenario = Scenario { folder: here().join("tests/from_proxy_wasm").join(folder) };
        let usages = [0, 1].map(|place: usize| {
            let path: PathBuf = built[place].path.clone();
            scenario.cost(&modules, &|_| Ok(path.clone())).unwrap_or_else(|error| panic!("{error}"))
        });
        let calls = usages.each_ref().map(|usage| {
            let calls: Vec<_> =
                usage.hostcalls.iter().map(|(name, count)| format!("{count} `{name}`")).collect();
            format!("{}: {}", usage.hostcalls.iter().map(|(_, count)| count).sum::<u64>(), calls.join(", "))
        });
        let _ = writeln!(table, "| {told}: hostcalls | {} | {} |", calls[0], calls[1]);
        let _ = writeln!(table, "| instructions | {} | {} |", fuel(usages[0].fuel), fuel(usages[1].fuel));
    }
    println!("{table}");
    let path = here().join("FROM_PROXY_WASM.md");
    let page = fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once("<!-- counted -->\n").expect("where the table begins");
    let (written, after) = rest.split_once("<!-- end -->").expect("where it ends");
    if env::var("UPDATE_EXPECT").is_ok_and(|value| value == "1") {
        fs::write(&path, format!("{before}<!-- counted -->\n{table}<!-- end -->{after}"))
            .expect("the page is ours");
    } else {
        assert_eq!(written, table, "UPDATE_EXPECT=1 cargo test -p wayside-sdk --test it from_proxy_wasm");
    }
}

/// In hundreds: the last digits move with every compiler.
fn fuel(fuel: Option<u64>) -> String {
    fuel.map_or_else(|| "not counted".to_owned(), |fuel| (fuel / 100 * 100).to_string())
}

/// Both sources stand in the page as they are compiled.
#[test]
fn the_page_shows_the_sources_as_they_are() {
    let page = fs::read_to_string(here().join("FROM_PROXY_WASM.md")).expect("the page");
    let sources = [
        here().join("../test-host/probes/examples/api-key-proxy-wasm.rs"),
        here().join("guests/examples/api-key.rs"),
    ];
    for source in sources {
        let text =
            fs::read_to_string(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        let code = text.split_once("\n\n").map_or(&text[..], |(_, code)| code);
        assert!(page.contains(code.trim_end()), "{} is not in the page as it is", source.display());
    }
}
