//! What is measured, one function a row of the table, and the goal it is held against.

use std::{fmt, path::PathBuf, sync::Arc};

use serde::Serialize;
use wayside::{
    replay::{Isolation, Options},
    trace::TraceLevel,
    vm::{Metering, Modules},
};

use crate::{
    bare,
    measure::{Contestant, Rounds, Spread, alternate, each},
    ours::{Host, guest},
    starts,
};

/// A contestant, what it is compared with, and the ratio that is the goal.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    name: &'static str,
    unit: &'static str,
    host: Spread,
    against: &'static str,
    yardstick: Spread,
    ratio: Spread,
    goal: f64,
}

pub(crate) const HEADING: &str = "\
row                                      host (quartiles)                yardstick (quartiles)           ratio (quartiles)     goal";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { name, unit, host, against, yardstick, ratio, goal } = self;
        let time = |s: &Spread| format!("{:.0} {unit} ({:.0}–{:.0})", s.median, s.low, s.high);
        let verdict = if self.misses(1.0) { "missed" } else { "kept" };
        write!(
            f,
            "{name:<40} {:<31} {against:<6} {:<24} {:.2} ({:.2}–{:.2})  ≤ {goal:<5} {verdict}",
            time(host),
            time(yardstick),
            ratio.median,
            ratio.low,
            ratio.high,
        )
    }
}

impl Row {
    pub(crate) fn misses(&self, margin: f64) -> bool {
        self.ratio.median > self.goal * margin
    }

    pub(crate) fn of(
        name: &'static str,
        host: &Rounds,
        (against, yardstick): (&'static str, &Rounds),
        goal: f64,
    ) -> Self {
        let (ratio, yardstick, host) = (host.ratio(yardstick), yardstick.spread(), host.spread());
        Row { name, unit: "ns", host, against, yardstick, ratio, goal }
    }
}

type Measure = fn(&'static str, usize, usize) -> Row;

/// By the numbers of the goals that they are for.
pub(crate) const ALL: [(&str, Measure); 10] = [
    ("H1 one filter of 14 hostcalls", one_filter),
    ("H2 chain of four", chain_of_four),
    ("H4 one header read", one_header),
    ("H5 a hostcall of numbers", number_call),
    ("H5 a hostcall that returns bytes", byte_call),
    ("H6 a fresh VM for each exchange", fresh_vm),
    ("H7 second start, the process's CPU", starts::second),
    ("H7 first start, the process's CPU", starts::first),
    ("H8 fuel against the epoch guard", fuel),
    ("H9 trace against none", trace),
];

/// What an exchange came to is kept, whatever the level of the trace.
fn untraced() -> Options {
    Options { trace: TraceLevel::Off, ..Options::default() }
}

const SKETCHES: [&str; 4] = ["header-auth", "timeout", "retry-budget", "telemetry"];

fn modules(metering: Metering) -> Arc<Modules> {
    Arc::new(Modules::metering_by(metering))
}

fn filters(names: &[&str], configuration: &'static str) -> Vec<(PathBuf, &'static str)> {
    names.iter().map(|name| (guest(name), configuration)).collect()
}

/// The host with these guests.
fn host(names: &[&str], configuration: &'static str, exchanges: usize) -> Contestant<'static> {
    let filters = filters(names, configuration);
    let host = Host::new(&modules(Metering::Off), &filters, exchanges, untraced());
    Box::new(move || host.replay())
}

/// The bare loop with the same guests, each in a VM of its own.
fn bare(names: &[&str], configuration: &'static str, exchanges: usize) -> Contestant<'static> {
    let start = |(path, text): (PathBuf, &str)| bare::Guest::load(&path, text).start();
    let mut chain: Vec<bare::Vm> = filters(names, configuration).into_iter().map(start).collect();
    Box::new(move || each(exchanges, || (0..exchanges).for_each(|_| bare::exchange(&mut chain))))
}

fn against_bare(name: &'static str, guests: &[&str], rounds: usize, exchanges: usize, goal: f64) -> Row {
    let [host, bare] = alternate(rounds, [host(guests, "", exchanges), bare(guests, "", exchanges)]);
    Row::of(name, &host, ("bare", &bare), goal)
}

fn one_filter(name: &'static str, rounds: usize, exchanges: usize) -> Row {
    against_bare(name, &["fused"], rounds, exchanges, 2.0)
}

fn chain_of_four(name: &'static str, rounds: usize, exchanges: usize) -> Row {
    against_bare(name, &SKETCHES, rounds, exchanges, 2.1)
}

fn one_header(name: &'static str, rounds: usize, exchanges: usize) -> Row {
    against_bare(name, &["one-header"], rounds, exchanges, 3.8)
}

/// 60 ns where the bare call takes 10.
fn number_call(name: &'static str, rounds: usize, exchanges: usize) -> Row {
    price(name, ["number 10", "number 110"], rounds, exchanges, 6.0)
}

/// 200 ns where the bare call takes 115.
fn byte_call(name: &'static str, rounds: usize, exchanges: usize) -> Row {
    price(name, ["bytes 10", "bytes 110"], rounds, exchanges, 1.75)
}

/// What a hundred calls more in each exchange add, divided by a hundred.
fn price(
    name: &'static str,
    [few, many]: [&'static str; 2],
    rounds: usize,
    exchanges: usize,
    goal: f64,
) -> Row {
    let exchanges = exchanges / 4;
    let contestant = |text| host(&["price"], text, exchanges);
    let yardstick = |text| bare(&["price"], text, exchanges);
    let contestants = [contestant(few), contestant(many), yardstick(few), yardstick(many)];
    let [host_few, host_many, bare_few, bare_many] = alternate(rounds, contestants);
    let (host, bare) = (host_many.slope(&host_few, 100.0), bare_many.slope(&bare_few, 100.0));
    Row::of(name, &host, ("bare", &bare), goal)
}

/// Module and pool are ready; start, configuration, one exchange and the end of the VM are measured, in both.
fn fresh_vm(name: &'static str, rounds: usize, exchanges: usize) -> Row {
    let exchanges = exchanges / 4;
    let filters = filters(&["fused"], "");
    let modules = Arc::new(Modules::for_isolation(Metering::Off));
    let options = Options { isolation: Isolation::EachExchange, ..untraced() };
    let host = Host::new(&modules, &filters, exchanges, options);
    let guests: Vec<_> = filters.iter().map(|(path, text)| bare::Guest::pooled(path, text)).collect();
    let fresh = move || {
        let mut chain: Vec<bare::Vm> = guests.iter().map(bare::Guest::start).collect();
        bare::exchange(&mut chain);
    };
    let bare = move || each(exchanges, || (0..exchanges).for_each(|_| fresh()));
    let [host, bare] = alternate(rounds, [Box::new(move || host.replay()), Box::new(bare)]);
    Row::of(name, &host, ("bare", &bare), 1.5)
}

fn fuel(name: &'static str, rounds: usize, exchanges: usize) -> Row {
    let filters = filters(&["fused"], "");
    let metered = Host::new(&modules(Metering::Fuel), &filters, exchanges, untraced());
    let guarded = host(&["fused"], "", exchanges);
    let [metered, guarded] = alternate(rounds, [Box::new(move || metered.replay()), guarded]);
    Row::of(name, &metered, ("epoch", &guarded), 1.25)
}

fn trace(name: &'static str, rounds: usize, exchanges: usize) -> Row {
    let filters = filters(&["fused"], "");
    let traced = Host::new(&modules(Metering::Off), &filters, exchanges, Options::default());
    let untraced = host(&["fused"], "", exchanges);
    let [traced, untraced] = alternate(rounds, [Box::new(move || traced.replay()), untraced]);
    Row::of(name, &traced, ("none", &untraced), 3.0)
}
