//! The filters' metrics: Envoy's statistics against the host's.

use std::collections::BTreeMap;

use super::{
    Difference,
    rules::{Kind, Place, Rules},
};
use crate::proxy::{Metric, Metrics};
use serde_json::Value;

/// Envoy's prefix for what a Wasm filter defines.
const PREFIX: &str = "wasmcustom.";

/// A metric as Envoy shows it.
#[derive(Clone, Debug, PartialEq)]
enum Shown {
    /// Counters and gauges look alike.
    Number(u64),
    /// Lower bound and width of a bucket, and how often a value fell into it.
    Buckets(Vec<(f64, f64, u64)>),
}

impl Shown {
    fn count(&self) -> u64 {
        match self {
            Shown::Number(value) => *value,
            Shown::Buckets(buckets) => buckets.iter().map(|bucket| bucket.2).sum(),
        }
    }
}

/// The answer to `/stats?format=json&histogram_buckets=detailed&usedonly`.
#[derive(Debug, Default)]
pub(super) struct EnvoyStats {
    values: BTreeMap<String, Shown>,
    /// How often a VM of a filter was made again, or could not be: statistics of Envoy's own.
    pub(super) reloads: u64,
    pub(super) is_live: bool,
}

/// Metrics of the filters in which something was counted.
pub(super) fn counted(host: &Metrics) -> usize {
    let is_counted = |metric: &Metric| match metric {
        Metric::Counter(value) | Metric::Gauge(value) => *value > 0,
        Metric::Histogram(values) => !values.is_empty(),
    };
    host.iter().filter(|(_, metric)| is_counted(metric)).count()
}

impl EnvoyStats {
    pub(super) fn parse(json: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(json).ok()?;
        let mut stats = EnvoyStats::default();
        for entry in document["stats"].as_array()? {
            if let (Some(name), Some(value)) = (entry["name"].as_str(), entry["value"].as_u64()) {
                stats.reloads += if name.contains("vm_reload") { value } else { 0 };
                stats.is_live |= name == "server.live" && value == 1;
                if let Some(name) = name.strip_prefix(PREFIX) {
                    stats.values.insert(name.to_owned(), Shown::Number(value));
                }
            }
            for histogram in entry["histograms"]["details"].as_array().into_iter().flatten() {
                if let Some(name) = histogram["name"].as_str().and_then(|name| name.strip_prefix(PREFIX)) {
                    stats.values.insert(name.to_owned(), Shown::Buckets(buckets(&histogram["totals"])?));
                }
            }
        }
        Some(stats)
    }
}

fn buckets(totals: &Value) -> Option<Vec<(f64, f64, u64)>> {
    let bucket = |total: &Value| {
        Some((total["lower_bound"].as_f64()?, total["width"].as_f64()?, total["count"].as_u64()?))
    };
    totals.as_array()?.iter().map(bucket).collect()
}

/// What differs that no rule lets pass. A metric that one side does not show is one that nothing was counted in.
pub(super) fn compare(rules: &Rules, envoy: &EnvoyStats, host: &Metrics) -> Vec<Difference> {
    let ours: BTreeMap<String, &Metric> =
        host.iter().map(|(name, metric)| (String::from_utf8_lossy(name).into_owned(), metric)).collect();
    let mut names: Vec<&String> = ours.keys().chain(envoy.values.keys()).collect();
    names.sort();
    names.dedup();
    rules.forget(Place::Metrics);
    let mut found = Vec::new();
    for name in names {
        let theirs = envoy.values.get(name).cloned();
        let ours = ours.get(name).copied();
        let expected = expected(ours, theirs.as_ref());
        let (theirs, expected) = (theirs.unwrap_or(Shown::Number(0)), expected);
        if theirs == expected || (theirs.count() == 0 && expected.count() == 0) {
            continue;
        }
        if let Some(rule) = rules.for_metric(name)
            && match rule.kind {
                Kind::CountOnly => theirs.count() == expected.count(),
                kind => kind == Kind::Value,
            }
        {
            rule.applied();
            continue;
        }
        found.push(Difference {
            exchange: None,
            field: format!("metric {name}"),
            envoy: format!("{theirs:?}"),
            host: format!("{ours:?}"),
        });
    }
    found
}

/// The host's values in Envoy's buckets.
fn expected(ours: Option<&Metric>, theirs: Option<&Shown>) -> Shown {
    match ours {
        None => Shown::Number(0),
        Some(Metric::Counter(value) | Metric::Gauge(value)) => Shown::Number(*value),
        Some(Metric::Histogram(values)) => {
            let known = match theirs {
                Some(Shown::Buckets(buckets)) => buckets.clone(),
                _ => Vec::new(),
            };
            let mut buckets: Vec<(f64, f64, u64)> =
                known.into_iter().map(|(from, width, _)| (from, width, 0)).collect();
            for (value, count) in values {
                #[expect(clippy::cast_precision_loss, reason = "the values are milliseconds and attempts")]
                let value = *value as f64;
                let place = buckets
                    .iter_mut()
                    .find(|(from, width, _)| *from <= value && value < from + width.max(f64::MIN_POSITIVE));
                match place {
                    Some(bucket) => bucket.2 += count,
                    None => buckets.push((value, 0.0, *count)),
                }
            }
            Shown::Buckets(buckets)
        }
    }
}
