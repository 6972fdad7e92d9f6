//! Any guests, configuration and traffic in the host and in the real Envoy, compared field by field.
//!
//! ```no_run
//! use std::path::Path;
//! use wayside::{parity::{self, Cases, Subject}, traffic};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let envoy = parity::find_envoy(std::env::var_os("ENVOY_BIN").map(Into::into), Path::new("target"))?;
//! let recording = traffic::load(&["recordings".into()], &traffic::Limits::default())?;
//! let subject = Subject::new("envoy.yaml", Cases::of(recording.exchanges));
//! let certificate = parity::certify_blocking(&envoy, &subject)?;
//! assert!(certificate.agrees(), "{}", certificate.text());
//! # Ok(())
//! # }
//! ```

mod compare;
mod document;
mod exchanges;
mod in_envoy;
mod in_host;
mod metrics;
mod report;
mod rules;
mod services;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use exchanges::{Case, Cases};
pub use report::{Certificate, Difference};
pub use rules::Rules;

use self::document::Document;
use crate::upstream::Script;

/// What is to be compared.
#[derive(Debug)]
pub struct Subject {
    /// An Envoy configuration; one for all exchanges.
    pub envoy: PathBuf,
    pub cases: Cases,
    /// What answers the calls that filters make.
    pub callouts: Script,
    /// Differences that are known besides those of [`Rules::common`].
    pub known: Rules,
}

impl Subject {
    /// Without callouts, and without differences that are known.
    pub fn new(envoy: impl Into<PathBuf>, cases: Cases) -> Self {
        Subject { envoy: envoy.into(), cases, callouts: Script::default(), known: Rules::default() }
    }
}

/// There is nothing to compare: not a difference, but something wrong with what was given.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotCompare(String);

impl CannotCompare {
    fn of(error: impl std::fmt::Display) -> Self {
        CannotCompare(error.to_string())
    }
}

/// Sends all exchanges through both, and compares what came of each: what the upstream saw, what the client saw, what guests
/// logged and called, and their metrics. Envoy has ended when this returns, and when its future is dropped.
///
/// # Errors
/// A configuration that one of the two does not load; no exchange that could be compared; no port on loopback.
pub async fn certify(binary: &Path, subject: &Subject) -> Result<Certificate, CannotCompare> {
    if subject.cases.cases.is_empty() {
        return Err(CannotCompare(format!(
            "no exchange to compare: {}",
            report::excluded(&subject.cases.excluded)
        )));
    }
    let mut document = Document::read(&subject.envoy).map_err(CannotCompare)?;
    let servers = in_envoy::Servers::start(&subject.callouts).await.map_err(CannotCompare::of)?;
    document.serve(&servers.addresses(), servers.upstream());
    let host = in_host::run(&document, subject)?;
    let rules = Rules::common().and(subject.known.clone());
    let envoy = in_envoy::run(binary, &document, subject, &servers, &host, &rules).await?;
    let mut differences = Vec::new();
    for ((case, envoy), host) in subject.cases.cases.iter().zip(&envoy.seen).zip(&host.seen) {
        differences.extend(compare::compare(&rules, &case.name, envoy, host));
    }
    differences.extend(envoy.metrics);
    if let Some(why) = envoy.died {
        differences.push(Difference {
            exchange: None,
            field: "survival".to_owned(),
            envoy: why,
            host: "it goes on".to_owned(),
        });
    }
    Ok(Certificate {
        compared: subject.cases.cases.len(),
        reached_upstream: host.seen.iter().filter(|seen| !seen.upstream.is_empty()).count(),
        metrics: metrics::counted(&host.metrics),
        excluded: subject
            .cases
            .excluded
            .iter()
            .map(|(why, names)| ((*why).to_owned(), names.clone()))
            .collect(),
        changes: document.changes,
        not_emulated: host.not_emulated,
        guests: host.guests,
        rules: rules.usage(),
        unused_rules: rules.unused(true),
        stale_rules: rules.unused(false),
        differences,
    })
}

/// [`certify`] on a runtime of its own, for a test that has none.
///
/// # Errors
/// As [`certify`]; also, no runtime can be made.
pub fn certify_blocking(binary: &Path, subject: &Subject) -> Result<Certificate, CannotCompare> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CannotCompare::of)?;
    runtime.block_on(certify(binary, subject))
}

/// Guests by name, with the sha256 of what was tested.
type GuestHashes = BTreeMap<String, String>;
