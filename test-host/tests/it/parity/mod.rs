//! The same `.wasm` files, the same exchanges, the same configuration: in a real Envoy, and in the replay. Whatever
//! differs is either listed with its reason in `tests/data/parity/differences.yaml`, or fails the test.

mod bootstrap;
mod client;
mod compare;
mod differences;
pub(crate) mod envoy;
mod exchanges;
mod handmade;
mod metrics;
mod refusal;
mod upstream;
mod wire;

use std::{io::Write as _, sync::Arc, time::Duration};

use wayside::{
    envoy_config,
    message::Recording,
    proxy::Outcome,
    replay::{Options, ReplayedProxy, Specs, replay},
    upstream::Services,
    vm::Modules,
};

use self::{
    bootstrap::Bootstrap,
    compare::{Seen, compare},
    differences::Rules,
    envoy::Envoy,
    exchanges::Cases,
    metrics::EnvoyStats,
    upstream::Upstream,
};

/// Fewer would mean that the comparison lost its subject.
const AT_LEAST: usize = 500;
/// How long Envoy may take to add up its histograms.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);
/// What Envoy logs when a guest traps, or a filter when it panics.
const DEATHS: [&str; 2] = ["[critical]", "Uncaught RuntimeError"];
const STATS: &str = "/stats?format=json&histogram_buckets=detailed&usedonly";

/// To the operator, past the test harness, which keeps what a passing test prints; and to the file that
/// `cargo xtask test` shows at its end.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "parity: {line}"));
    if let Some(path) = std::env::var_os("WAYSIDE_PARITY_SUMMARY") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        drop(file.and_then(|mut file| writeln!(file, "{line}")));
    }
}

#[tokio::test]
async fn the_replay_does_what_the_real_envoy_does() {
    let Some(binary) = envoy::binary() else { return };
    let folder = tempfile::tempdir().expect("a folder for Envoy's files");
    let upstream = Upstream::start().await.expect("a port on loopback");
    let mut bootstrap = Bootstrap::of_example();
    bootstrap.for_comparison(upstream.address.port());
    let config = bootstrap.write(folder.path(), "parity.json");
    let cases = Cases::load();
    let rules = Rules::load();
    let replayed = in_the_replay(&config, &cases);

    let mut envoy =
        Envoy::start(&binary, folder.path(), &config).await.unwrap_or_else(|error| panic!("{error}"));
    let mut found = Vec::new();
    for (case, outcome) in cases.cases.iter().zip(&replayed.outcome.outcomes) {
        let exchange = &case.exchange;
        upstream.answer_with(exchange.response.clone().expect("those without are left out"), case.after);
        let client = client::send(envoy.listener, &case.wire, case.spelling).await;
        let seen = Seen {
            upstream: upstream.take_received(),
            client: client.unwrap_or_else(|error| {
                found.push(format!("{}: the client failed: {error}", case.name));
                None
            }),
        };
        found.extend(compare(&rules, &case.name, &seen, &seen_in(outcome)));
    }
    found.extend(metrics_differ(&envoy, &rules, &replayed).await);
    if !envoy.is_running() || DEATHS.iter().any(|sign| envoy.log().contains(sign)) {
        found.push("Envoy or a VM in it did not survive".to_owned());
    }
    found.extend(rules.stale());
    report(&bootstrap, &cases, &rules, &replayed, &found);
    assert!(found.is_empty(), "{}\n{}", found.join("\n"), envoy.log());
    let forwarded =
        replayed.outcome.outcomes.iter().filter(|outcome| outcome.upstream_request.is_some()).count();
    assert!(
        forwarded >= AT_LEAST,
        "{forwarded} exchanges reached the upstream, expected {AT_LEAST} and more"
    );
}

fn in_the_replay(config: &std::path::Path, cases: &Cases) -> ReplayedProxy {
    let loaded = envoy_config::load(config).unwrap_or_else(|errors| panic!("{errors}"));
    let exchanges = cases.cases.iter().map(|case| case.exchange.clone()).collect();
    let recording = Recording { exchanges, notes: Vec::new() };
    let specs = Specs::Everywhere(Arc::new(loaded.spec));
    let replayed =
        replay(&Arc::new(Modules::new()), &specs, recording, &Options::default(), |_| Services::default());
    let mut replayed = replayed.unwrap_or_else(|error| panic!("{error}"));
    let proxy = replayed.proxies.remove(0);
    assert_eq!(proxy.outcome.outcomes.len(), cases.cases.len());
    proxy
}

fn seen_in(outcome: &Outcome) -> Seen {
    Seen {
        upstream: outcome.upstream_request.clone().into_iter().collect(),
        client: outcome.downstream_response.clone(),
    }
}

/// Asks until everything is the same, or for as long as Envoy may need to add it up.
async fn metrics_differ(envoy: &Envoy, rules: &Rules, replayed: &ReplayedProxy) -> Vec<String> {
    let mut last = vec!["Envoy does not tell its statistics".to_owned()];
    let mut poll = tokio::time::interval(Duration::from_millis(100));
    let asking = async {
        loop {
            poll.tick().await;
            let Ok(answer) = envoy.ask(STATS).await else {
                continue;
            };
            let Some(stats) = EnvoyStats::parse(&answer) else {
                continue;
            };
            last = metrics::compare(rules, &stats, &replayed.outcome.metrics);
            if stats.reloads > 0 || !stats.is_live {
                last.push(format!(
                    "Envoy is live: {}, VMs reloaded or failed: {}",
                    stats.is_live, stats.reloads
                ));
            }
            if last.is_empty() {
                return;
            }
        }
    };
    drop(tokio::time::timeout(FLUSH_LIMIT, asking).await);
    last
}

fn report(bootstrap: &Bootstrap, cases: &Cases, rules: &Rules, replayed: &ReplayedProxy, found: &[String]) {
    for artifact in &bootstrap.artifacts {
        say(&artifact.to_string());
    }
    for usage in rules.usage() {
        say(&format!("rule needed: {usage}"));
    }
    let forwarded =
        replayed.outcome.outcomes.iter().filter(|outcome| outcome.upstream_request.is_some()).count();
    let (compared, total) = (cases.cases.len(), cases.total());
    say(&format!(
        "compared {compared} of {total} exchanges; {forwarded} reached the upstream, the filters answered the others"
    ));
    say(&format!("compared {} metrics of the filters", metrics::counted(&replayed.outcome.metrics)));
    for (reason, names) in &cases.excluded {
        say(&format!("excluded: {reason}: {} ({})", names.len(), names.join(", ")));
    }
    say(&format!(
        "compared {} exchanges, {} rules, {} differences",
        cases.cases.len(),
        rules.len(),
        found.len()
    ));
}
