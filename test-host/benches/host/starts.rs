//! From nothing to the first verdict: the command as its users start it, a process each time. Processor time of all its
//! threads: on a busy machine the time on the wall measures the others.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    bare,
    measure::{Rounds, alternate, cpu_of_all_threads, cpu_of_children},
    ours::{Folder, guest},
    rows::Row,
};

/// Starts of one round: times of processes are told in ticks of 10 ms.
const STARTS: u32 = 20;

/// What a second start may take.
const BOUND: Duration = Duration::from_millis(10);

/// The module is in the cache: what is left is the process, the configuration, the recording and one exchange.
pub(crate) fn second(name: &'static str, rounds: usize, _: usize) -> Row {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let folder = Folder::new(&[(guest("fused"), "")], 1);
    replay(&folder, cache.path());
    let starts = || taken(STARTS, || replay(&folder, cache.path()));
    let [starts] = alternate(rounds, [Box::new(starts)]);
    Row::of(name, &starts, ("10 ms", &Rounds::fixed(BOUND, &starts)), 1.0)
}

/// Nothing is in the cache. Held against the compiler alone.
pub(crate) fn first(name: &'static str, rounds: usize, _: usize) -> Row {
    const TIMES: u32 = 2;
    let module = guest("fused");
    let folder = Folder::new(&[(module.clone(), "")], 1);
    let starts = || taken(TIMES, || replay(&folder, tempfile::tempdir().expect("a temporary folder").path()));
    let compiler = || {
        let began = cpu_of_all_threads();
        (0..TIMES).for_each(|_| bare::compile(&module));
        (cpu_of_all_threads() - began).as_nanos() as f64 / f64::from(TIMES)
    };
    let [starts, compiler] = alternate(rounds.min(10), [Box::new(starts), Box::new(compiler)]);
    Row::of(name, &starts, ("bare", &compiler), 1.3)
}

fn replay(folder: &Folder, cache: &Path) {
    let command = Command::new(env!("CARGO_BIN_EXE_wayside"))
        .args(["replay", "--no-trace", "--envoy"])
        .arg(folder.envoy())
        .arg("--traffic")
        .arg(folder.recording())
        .env("XDG_CACHE_HOME", cache)
        .stdout(Stdio::null())
        .status();
    assert!(command.expect("it starts").code().is_some_and(|code| code < 2), "it replays");
}

/// Nanoseconds of one of so many starts.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time where the system tells no other"
)]
fn taken(times: u32, start: impl Fn()) -> f64 {
    let (began, before) = (Instant::now(), cpu_of_children());
    (0..times).for_each(|_| start());
    let spent = cpu_of_children().zip(before).map(|(after, before)| after - before);
    spent.unwrap_or_else(|| began.elapsed()).as_nanos() as f64 / f64::from(times)
}
