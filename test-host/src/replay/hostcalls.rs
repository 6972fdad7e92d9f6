//! Cost as a test: what a filter may ask of its host, call by call, the same for a module and for Rust.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::Replay;
use crate::{proxy::ProxyOutcome, trace::Made};

type Calls<'a> = BTreeMap<&'a str, u64>;

impl Replay {
    /// Asserts that the filter's part in the last exchange, over all its callbacks, made exactly these hostcalls.
    ///
    /// # Panics
    /// It made others, or had no part in it; with both lists side by side.
    #[track_caller]
    pub fn assert_hostcalls(&self, filter: &str, expected: &[(&str, u64)]) {
        if let Err(told) = self.hostcalls_are(filter, expected) {
            panic!("{told}");
        }
    }

    /// Asserts that every run of a callback, `on_request_headers` say, made exactly these hostcalls: on every thread, in the canary
    /// too. The replay must have kept a ledger ([`Options::ledger`](super::Options)), which scenarios do.
    ///
    /// # Panics
    /// A run made others, or there was none; with both lists side by side.
    #[track_caller]
    pub fn assert_hostcalls_of(&self, filter: &str, callback: &str, expected: &[(&str, u64)]) {
        if let Err(told) = self.hostcalls_of_each_are(filter, callback, expected) {
            panic!("{told}");
        }
    }

    /// Asserts that no run of any callback had the host return bytes more than once. The ledger is as above.
    ///
    /// # Panics
    /// A run did; with all its hostcalls.
    #[track_caller]
    pub fn assert_bytes_are_returned_once_a_callback(&self) {
        if let Err(told) = self.bytes_are_returned_once_a_callback() {
            panic!("{told}");
        }
    }

    fn hostcalls_are(&self, filter: &str, expected: &[(&str, u64)]) -> Result<(), String> {
        let parts = self.proxies.iter().flat_map(|proxy| &proxy.outcome.outcomes).filter_map(|outcome| {
            let proxy = self.proxies.iter().find(|proxy| proxy.name == outcome.exchange.id.proxy)?;
            let mut usage = outcome.usage.iter();
            let (_, usage) = usage.find(|(number, _)| is_called(&proxy.outcome, number.0, filter))?;
            Some((outcome, usage))
        });
        let (outcome, usage) = parts.last().ok_or_else(|| format!("{filter} had no part in any exchange"))?;
        let place = format!("{filter} in {}", outcome.exchange.id);
        compare(&place, expected, usage.hostcalls.iter().collect())
    }

    fn hostcalls_of_each_are(
        &self,
        filter: &str,
        callback: &str,
        expected: &[(&str, u64)],
    ) -> Result<(), String> {
        let mut runs = 0;
        for (place, made, times) in self.runs() {
            if place == (filter, callback) {
                runs += times;
                let place = format!("{times} runs of {callback} of {filter}");
                compare(&place, expected, made.hostcalls.iter().map(|(name, n)| (*name, *n)).collect())?;
            }
        }
        let kept: BTreeSet<_> =
            self.runs().map(|((filter, callback), ..)| format!("{filter} {callback}")).collect();
        if runs == 0 {
            Err(format!("{filter} {callback} never ran; the ledger has {kept:?}"))
        } else {
            Ok(())
        }
    }

    /// By filter and callback: how often the host returned bytes in one run at most, and all that this run called.
    pub fn most_bytes_returned(&self) -> BTreeMap<(&str, &str), &Made> {
        let mut most: BTreeMap<_, &Made> = BTreeMap::new();
        for (place, made, _) in self.runs() {
            let known = most.entry(place).or_insert(made);
            if made.returned_bytes > known.returned_bytes {
                *known = made;
            }
        }
        most
    }

    fn bytes_are_returned_once_a_callback(&self) -> Result<(), String> {
        let most = self.most_bytes_returned();
        if most.is_empty() {
            return Err("no callback ran, or no ledger was kept".to_owned());
        }
        let mut told = String::new();
        for ((filter, callback), made) in most.iter().filter(|(_, made)| made.returned_bytes > 1) {
            let Made { returned_bytes, hostcalls } = made;
            let _ =
                writeln!(told, "{filter} {callback}: bytes returned {returned_bytes} times: {hostcalls:?}");
        }
        if told.is_empty() { Ok(()) } else { Err(told) }
    }

    /// Filter and callback, what a run of it made, and how many runs made just that.
    fn runs(&self) -> impl Iterator<Item = ((&str, &str), &Made, u64)> {
        self.proxies.iter().flat_map(|proxy| {
            let name =
                |number: usize| proxy.outcome.filters.get(number).map_or("?", |filter| filter.name.as_str());
            proxy.outcome.ledger.runs.iter().flat_map(move |((filter, callback), runs)| {
                runs.iter().map(move |(made, times)| ((name(filter.0), *callback), made, *times))
            })
        })
    }
}

fn is_called(proxy: &ProxyOutcome, number: usize, name: &str) -> bool {
    proxy.filters.get(number).is_some_and(|filter| filter.name == name)
}

/// Both lists side by side, where they differ.
fn compare(place: &str, expected: &[(&str, u64)], found: Calls<'_>) -> Result<(), String> {
    let expected: Calls<'_> = expected.iter().copied().filter(|(_, calls)| *calls > 0).collect();
    if expected == found {
        return Ok(());
    }
    let names: BTreeSet<&str> = expected.keys().chain(found.keys()).copied().collect();
    let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
    let mut told = format!("{place}: other hostcalls than expected\n  {:width$}  expected  found\n", "");
    for name in names {
        let calls = |list: &Calls<'_>| list.get(name).copied().unwrap_or_default();
        let (wanted, made) = (calls(&expected), calls(&found));
        let mark = if wanted == made { ' ' } else { '*' };
        let _ = writeln!(told, "{mark} {name:width$}  {wanted:8}  {made:5}");
    }
    Err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_stands_side_by_side() {
        let found = Calls::from([("proxy_log", 2), ("clock_time_get", 1)]);
        assert_eq!(compare("it", &[("clock_time_get", 1), ("proxy_log", 2)], found.clone()), Ok(()));
        let told = compare("it", &[("proxy_log", 1), ("proxy_done", 1), ("clock_time_get", 1)], found);
        assert_eq!(
            told.expect_err("two differ"),
            "it: other hostcalls than expected\n                  expected  found\n  clock_time_get         1      1\n\
             * proxy_done             1      0\n* proxy_log              1      2\n"
        );
    }
}
