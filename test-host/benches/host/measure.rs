//! Time of this thread's processor, taken in rounds that alternate between the contestants: a busy machine slows all alike.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread since it began.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Nanoseconds that one of `times` took, given what all of them do.
pub(crate) fn each(times: usize, work: impl FnOnce()) -> f64 {
    let began = cpu();
    work();
    (cpu() - began).as_nanos() as f64 / times as f64
}

/// Processor time of this process, on all its threads, since it began.
pub(crate) fn cpu_of_all_threads() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How fine Linux tells times of processes: 100 a second on every machine.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of the processes that this one has started and that have ended. `None`: not on this system.
pub(crate) fn cpu_of_children() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything, fields 16 and 17 of the manual are the 14th and 15th.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Option<Vec<u32>> =
        fields.split_whitespace().skip(13).take(2).map(|field| field.parse().ok()).collect();
    Some(TICK * ticks?.iter().sum::<u32>())
}

/// One contestant's rounds, in nanoseconds for one exchange.
#[derive(Clone, Debug)]
pub(crate) struct Rounds(Vec<f64>);

/// The median, with the quartiles on either side.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Rounds {
    /// As many of one length, to hold others against.
    pub(crate) fn fixed(length: Duration, like: &Rounds) -> Self {
        Rounds(vec![length.as_nanos() as f64; like.0.len()])
    }

    pub(crate) fn spread(&self) -> Spread {
        spread(self.0.clone())
    }

    /// Round by round against another contestant's.
    pub(crate) fn ratio(&self, to: &Rounds) -> Spread {
        spread(self.0.iter().zip(&to.0).map(|(one, other)| one / other).collect())
    }

    /// What each of so many more calls adds.
    pub(crate) fn slope(&self, few: &Rounds, calls: f64) -> Rounds {
        Rounds(self.0.iter().zip(&few.0).map(|(many, few)| ((many - few) / calls).max(0.1)).collect())
    }
}

fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values[((values.len() - 1) as f64 * part).round() as usize];
    Spread { low: at(0.25), median: at(0.5), high: at(0.75) }
}

pub(crate) type Contestant<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// Lets everyone run in turn, round after round; the first round of each is thrown away.
pub(crate) fn alternate<const N: usize>(rounds: usize, mut contestants: [Contestant<'_>; N]) -> [Rounds; N] {
    let mut all = [const { Vec::new() }; N];
    for round in 0..=rounds {
        for (contestant, times) in contestants.iter_mut().zip(&mut all) {
            let time = contestant();
            if round > 0 {
                times.push(time);
            }
        }
    }
    all.map(Rounds)
}
