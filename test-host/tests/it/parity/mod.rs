//! The same `.wasm` files, the same exchanges, the same configuration: in a real Envoy, and in the host. Whatever differs is
//! either listed with its reason, or fails the test.

mod bootstrap;
pub(crate) mod envoy;
mod exchanges;
mod handmade;
mod own_filter;
mod refusal;

use std::{io::Write as _, path::Path};

use wayside::parity::{self, Certificate, Rules, Subject};

use self::bootstrap::Bootstrap;

/// Fewer would mean that the comparison lost its subject.
const AT_LEAST: usize = 500;

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
    let folder = tempfile::tempdir().expect("a folder for the configuration");
    let bootstrap = Bootstrap::of_example();
    let cases = exchanges::load();
    let total = cases.total();
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parity/differences.yaml");
    let known = Rules::read(&known).unwrap_or_else(|error| panic!("{error}"));
    let subject = Subject { known, ..Subject::new(bootstrap.write(folder.path(), "parity.json"), cases) };
    let certificate = parity::certify(&binary, &subject).await.unwrap_or_else(|error| panic!("{error}"));
    report(&bootstrap, &certificate, total);
    assert!(certificate.agrees(), "{}", certificate.text());
    // Of what every comparison lets pass, too: an excuse that excuses nothing hides what it would excuse.
    let unused = certificate.unused_rules.iter().filter(|rule| !rule.starts_with("Callout"));
    assert_eq!(unused.collect::<Vec<_>>(), Vec::<&String>::new());
    let reached = certificate.reached_upstream;
    assert!(reached >= AT_LEAST, "{reached} exchanges reached the upstream, expected {AT_LEAST} and more");
    assert!(certificate.metrics > 0, "the filters count nothing");
}

fn report(bootstrap: &Bootstrap, certificate: &Certificate, total: usize) {
    for artifact in &bootstrap.artifacts {
        say(&artifact.to_string());
    }
    for usage in &certificate.rules {
        say(&format!("rule needed: {usage}"));
    }
    let Certificate { compared, reached_upstream, metrics, rules, differences, .. } = certificate;
    say(&format!(
        "compared {compared} of {total} exchanges; {reached_upstream} reached the upstream, the filters answered the others"
    ));
    say(&format!("compared {metrics} metrics of the filters"));
    for (reason, names) in &certificate.excluded {
        say(&format!("excluded: {reason}: {} ({})", names.len(), names.join(", ")));
    }
    say(&format!("compared {compared} exchanges, {} rules, {} differences", rules.len(), differences.len()));
}
