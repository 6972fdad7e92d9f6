//! Behaviours: small things to be seen, each run in the host and in the real Envoy.

mod as_read;
mod case;
mod document;
mod encrypted;
mod in_envoy;
mod in_host;
mod raw;
mod seen;
mod traffic;

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

pub use case::{Behaviour, Body, Callout, Field, Filter, Level, Overrides, Request, Response, Topic};
pub use encrypted::{DownstreamTls, Shown, TlsVersion, UpstreamTls};
pub use seen::{Ended, Seen, SeenByClient, SeenConnection, SeenEnd, SeenExchange, difference};

use crate::{trace::Ledger, vm::Modules};

/// Modules by the name that behaviours call them.
pub type Guests = BTreeMap<String, PathBuf>;

impl Topic {
    /// The guests that its behaviours need.
    pub fn guests(&self) -> BTreeSet<String> {
        document::guests(&self.behaviours)
    }
}

/// What the host does with a behaviour of a topic, and what its guests called.
///
/// # Errors
/// A guest that is not there; a configuration that the host cannot read.
pub fn in_host(
    topic: &str,
    behaviour: &Behaviour,
    modules: &Arc<Modules>,
    guests: &Guests,
) -> Result<(Seen, Ledger), String> {
    in_host::run(&document::Case::new(topic, behaviour), modules, guests)
}

/// What the real Envoy does with these behaviours, each with its topic; in their order. Those that can share a process do, and
/// three processes run at once: most of their time goes by waiting.
pub async fn in_envoy(
    binary: &Path,
    behaviours: &[(&str, &Behaviour)],
    guests: &Guests,
) -> Vec<Result<Seen, String>> {
    let cases: Vec<document::Case> =
        behaviours.iter().map(|(topic, behaviour)| document::Case::new(topic, behaviour)).collect();
    let runner = in_envoy::Runner { binary, guests };
    let places: BTreeMap<&str, usize> =
        cases.iter().enumerate().map(|(place, case)| (case.listener.as_str(), place)).collect();
    let mut all: Vec<Result<Seen, String>> = cases.iter().map(|_| Err("it was not run".to_owned())).collect();
    let mut batches = in_envoy::batches(&cases);
    // The long ones first: none is left alone at the end.
    batches.sort_by_key(|batch| std::cmp::Reverse(batch.len()));
    let next = Cell::new(0);
    let lane = || async {
        let mut done = Vec::new();
        while let Some(batch) = batches.get(next.replace(next.get() + 1)) {
            done.push((batch, in_envoy::run(&runner, batch).await));
        }
        done
    };
    let (first, second, third) = tokio::join!(lane(), lane(), lane());
    for (batch, seen) in first.into_iter().chain(second).chain(third) {
        for (number, case) in batch.iter().enumerate() {
            if let Some(one) = places.get(case.listener.as_str()).and_then(|place| all.get_mut(*place)) {
                *one = match &seen {
                    Ok(seen) => seen.get(number).cloned().ok_or_else(|| "it was not run".to_owned()),
                    Err(error) => Err(error.clone()),
                };
            }
        }
    }
    all
}

fn request_title(behaviour: &Behaviour, number: usize) -> String {
    let request = behaviour.requests.get(number);
    let (method, path) = request.map_or(("?", "?"), |request| (&request.method, &request.path));
    format!("{}. {method} {path}", number + 1)
}
