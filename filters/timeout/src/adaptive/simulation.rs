//! Workers, requests and an upstream in virtual time: what the limit comes to when latencies change.

use super::record::{Counts, Record};
use super::track::{End, Given, Track};
use super::{Settings, millis};
use crate::share::Taken;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::Monotonic;
use wayside_sdk::shared::Wire;
use wayside_sdk::units::Ratio;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn settings() -> Settings {
    Settings {
        quantile: Ratio::from_ten_thousandths(9_900),
        headroom: Ratio::from_ten_thousandths(15_000),
        floor: ms(10),
        ceiling: ms(15_000),
        min_samples: 200,
        window: ms(60_000),
        min_budget: None,
        slow: Some(Ratio::from_ten_thousandths(9_500)),
    }
}

/// Not the generator of anything that matters: only that no two runs differ.
struct Chance(u64);

impl Chance {
    /// Below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

struct Worker {
    track: Track,
    lost: u32,
}

/// One request that is over, as a client would note it.
struct Noted {
    came: Duration,
    cut: bool,
    /// The limit in use when it came; `None` for the ceiling.
    limit: Option<Duration>,
}

/// A request under way: when it ends, when it came, whose it is, and what it would have taken.
type Under = (Duration, Duration, usize, Option<Duration>);

struct Simulation {
    settings: Rc<Settings>,
    workers: Vec<Worker>,
    stored: Option<Vec<u8>>,
    chance: Chance,
    noted: Vec<Noted>,
}

impl Simulation {
    fn new(settings: Settings, workers: usize) -> Simulation {
        let settings = Rc::new(settings);
        let worker = || Worker { track: Track::new(settings.clone()), lost: 0 };
        let workers = std::iter::repeat_with(worker).take(workers).collect();
        Simulation { settings, workers, stored: None, chance: Chance(1), noted: Vec::new() }
    }

    fn exchange(&mut self, worker: usize, now: Monotonic) {
        let worker = &mut self.workers[worker];
        worker.lost += worker.track.forget_stale(now);
        if worker.track.is_due(now) {
            let stored = self.stored.as_deref().and_then(Record::decode);
            let record = worker.track.merged(stored, now);
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            assert!(bytes.len() < 600, "{} bytes", bytes.len());
            self.stored = Some(bytes);
            worker.track.exchanged(&record, now);
        }
    }

    /// One request each `gap` for this long; `takes` says how long the upstream needs at a time, `None` for ever.
    fn run(
        &mut self,
        from: Duration,
        length: Duration,
        gap: Duration,
        takes: impl Fn(&mut Chance) -> Option<Duration>,
    ) {
        let mut ends = BinaryHeap::<Reverse<Under>>::new();
        let mut given = BTreeMap::new();
        let arrivals = u64::try_from(length.as_nanos() / gap.as_nanos()).unwrap();
        for number in 0..arrivals {
            let at = from + gap * u32::try_from(number).unwrap();
            while ends.peek().is_some_and(|Reverse((end, ..))| *end <= at) {
                let Some(Reverse(under)) = ends.pop() else { break };
                self.end(under, given.remove(&under.1));
            }
            let worker = usize::try_from(self.chance.below(self.workers.len() as u64)).unwrap();
            let now = Monotonic::at(at);
            self.exchange(worker, now);
            let mut allowed = self.settings.ceiling;
            if let Given::Limited(limit, taken) = self.workers[worker].track.give(None, now) {
                allowed = limit;
                given.insert(at, (limit, taken));
            }
            let took = takes(&mut self.chance);
            let lasts = took.map_or(allowed, |took| took.min(allowed));
            ends.push(Reverse((at + lasts, at, worker, took)));
        }
        while let Some(Reverse(under)) = ends.pop() {
            self.end(under, given.remove(&under.1));
        }
    }

    fn end(&mut self, (at, came, worker, took): Under, given: Option<(Duration, Taken)>) {
        let now = Monotonic::at(at);
        let end = match took {
            Some(took) if took <= given.as_ref().map_or(self.settings.ceiling, |(limit, _)| *limit) => {
                End::Answered(took)
            }
            _ => End::TimedOut,
        };
        let limit = given.as_ref().map(|(limit, _)| *limit);
        let cut = given.is_some() && end == End::TimedOut;
        if let Some((_, taken)) = given.filter(|_| cut) {
            taken.spend();
        }
        self.workers[worker].track.learn(end, cut, now);
        self.exchange(worker, now);
        self.noted.push(Noted { came, cut, limit });
    }

    /// The greatest share of any window's requests that the limit ended, in ten-thousandths; windows begin at every second.
    fn worst_share(&self) -> usize {
        let seconds = |noted: &Noted| usize::try_from(noted.came.as_secs()).unwrap();
        let last = self.noted.iter().map(seconds).max().unwrap();
        let mut by_second = vec![(0_usize, 0_usize); last + 1];
        for noted in &self.noted {
            let (total, cut) = &mut by_second[seconds(noted)];
            (*total, *cut) = (*total + 1, *cut + usize::from(noted.cut));
        }
        let shares = by_second.windows(60).map(|window| {
            let (total, cut) = window.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
            cut * 10_000 / total.max(1)
        });
        shares.max().unwrap()
    }

    /// The limit that the last requests before this time were given.
    fn limit_at(&self, at: Duration) -> Option<Duration> {
        self.noted.iter().filter(|noted| noted.came <= at).max_by_key(|noted| noted.came)?.limit
    }
}

/// Around `typical`, and one in a hundred at twice that.
fn around(typical: u64) -> impl Fn(&mut Chance) -> Option<Duration> {
    move |chance| {
        let tail = if chance.below(100) == 0 { 2 } else { 1 };
        Some(ms((typical * 9 / 10 + chance.below(typical / 5)) * tail))
    }
}

/// Where a limit belongs for answers around `typical`: above what 99 of 100 take, by the headroom and a bucket's width.
fn fits(limit: Option<Duration>, typical: u64) -> bool {
    limit.is_some_and(|limit| limit >= ms(typical * 3 / 2) && limit <= ms(typical * 2 * 3 / 2 * 5 / 4))
}

#[test]
fn to_10_a_step_of_the_latency_cuts_two_in_a_hundred_at_most_and_is_followed_within_two_windows() {
    for workers in [1, 4] {
        for gap in [ms(2), ms(10)] {
            let mut run = Simulation::new(settings(), workers);
            let phases = [(0, 50), (240_000, 200), (480_000, 50)];
            for (from, typical) in phases {
                run.run(ms(from), ms(240_000), gap, around(typical));
                let two_windows = run.limit_at(ms(from + 120_000));
                assert!(
                    fits(two_windows, typical),
                    "{workers} workers, {gap:?}: {two_windows:?} for {typical}"
                );
            }
            let worst = run.worst_share();
            assert!(worst <= 200, "{workers} workers, {gap:?}: {worst}");
            assert!(run.noted.iter().any(|noted| noted.cut), "nothing was cut: nothing was shown");
            assert!(run.workers.iter().all(|worker| worker.lost == 0));
        }
    }
}

#[test]
fn to_10_when_every_request_would_be_cut_the_limit_is_the_ceiling_again() {
    let mut run = Simulation::new(settings(), 4);
    run.run(ms(0), ms(200_000), ms(10), around(50));
    assert!(fits(run.limit_at(ms(200_000)), 50));
    // Nothing is answered any more.
    run.run(ms(200_000), ms(60_000), ms(10), |_| None);
    assert!(run.worst_share() <= 200, "{}", run.worst_share());
    for worker in &run.workers {
        assert_eq!(worker.track.estimate().limit, ms(15_000));
    }
    // Answers take longer than the limit ever allowed: it does not come back while they do.
    run.run(ms(275_000), ms(120_000), ms(10), around(9_000));
    assert_eq!(run.limit_at(ms(395_000)), None);
}

#[test]
fn too_few_answers_leave_the_ceiling() {
    let mut run = Simulation::new(settings(), 2);
    run.run(ms(0), ms(300_000), ms(400), around(50));
    assert!(run.noted.iter().all(|noted| noted.limit.is_none()), "150 a window");
    run.run(ms(300_000), ms(300_000), ms(200), around(50));
    assert!(run.limit_at(ms(600_000)).is_some(), "300 a window");
}

#[test]
fn what_was_counted_too_long_ago_is_told_and_not_merged() {
    let mut run = Simulation::new(settings(), 1);
    run.run(ms(0), ms(2_000), ms(10), around(50));
    let kept = run.workers[0].track.forget_stale(Monotonic::at(ms(50_000)));
    assert_eq!(kept, 0);
    let lost = run.workers[0].track.forget_stale(Monotonic::at(ms(100_000)));
    assert!(lost > 0);
    assert_eq!(run.workers[0].track.forget_stale(Monotonic::at(ms(100_000))), 0, "told once");
}

#[test]
fn callers_in_a_hurry_are_neither_limited_nor_learnt_from() {
    let mut run = Simulation::new(settings(), 1);
    run.run(ms(0), ms(200_000), ms(10), around(50));
    let track = &mut run.workers[0].track;
    let now = Monotonic::at(ms(200_000));
    assert!(matches!(track.give(Some(ms(20)), now), Given::Ceiling));
    assert!(!track.learns_from(Some(ms(20))));
    assert!(track.learns_from(Some(ms(5_000))) && track.learns_from(None));
    assert!(matches!(track.give(Some(ms(5_000)), now), Given::Limited(..)));
    assert!(Track::new(Rc::new(settings())).learns_from(Some(ms(1))), "nothing is known yet");
}

/// What a worker did.
#[derive(Clone, Debug)]
enum Step {
    Learn(u64),
    Cut,
    /// Reads, and writes unless another wrote in between.
    Exchange {
        overtaken_by: Option<usize>,
    },
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        6 => (0..20_000_u64).prop_map(Step::Learn),
        1 => Just(Step::Cut),
        3 => prop::option::of(0..4_usize).prop_map(|overtaken_by| Step::Exchange { overtaken_by }),
        2 => (0..30_000_u64).prop_map(Step::Pass),
    ];
    prop::collection::vec((0..4_usize, step), 1..120)
}

/// Every request by itself: the half in which it was told, how long it took, whether it was cut.
#[derive(Default)]
struct Naive {
    told: Vec<(u64, u64, bool)>,
}

impl Naive {
    fn quantile(&self, half: u64, share: u32) -> Option<u64> {
        let mut values: Vec<u64> =
            self.told.iter().filter(|(told, ..)| told + 1 >= half).map(|(_, took, _)| *took).collect();
        values.sort_unstable();
        let rank = (values.len() * usize::try_from(share).unwrap()).div_ceil(10_000).max(1);
        values.get(rank - 1).copied()
    }
}

proptest! {
    #[test]
    fn four_workers_that_overtake_each_other_come_to_what_one_list_of_all_requests_says(steps in steps()) {
        let settings = Rc::new(Settings { min_samples: 0, ..settings() });
        let mut tracks: Vec<Track> = (0..4).map(|_| Track::new(settings.clone())).collect();
        let mut untold = vec![Vec::new(); 4];
        let (mut stored, mut naive) = (None::<Record>, Naive::default());
        let mut now = ms(1_000_000);
        for (worker, step) in steps {
            let at = Monotonic::at(now);
            let half = u64::try_from(now.as_millis() / 30_000).unwrap();
            let mut tell = |worker: usize, tracks: &mut Vec<Track>, stored: &mut Option<Record>| {
                let record = tracks[worker].merged(stored.clone(), at);
                tracks[worker].exchanged(&record, at);
                *stored = Some(record);
                naive.told.extend(untold[worker].drain(..).map(|(took, cut)| (half, took, cut)));
            };
            match step {
                Step::Learn(took) => {
                    tracks[worker].learn(End::Answered(ms(took)), false, at);
                    untold[worker].push((took.min(15_000), false));
                }
                Step::Cut => {
                    tracks[worker].learn(End::TimedOut, true, at);
                    untold[worker].push((15_000, true));
                }
                Step::Exchange { overtaken_by: None } => tell(worker, &mut tracks, &mut stored),
                Step::Exchange { overtaken_by: Some(other) } => {
                    // What was made of the old record is thrown away, as a lost compare-and-swap has it.
                    let _ = tracks[worker].merged(stored.clone(), at);
                    tell(other, &mut tracks, &mut stored);
                    tell(worker, &mut tracks, &mut stored);
                }
                Step::Pass(passed) => now += ms(passed),
            }
            let Some(record) = &stored else { continue };
            let told = naive.told.last().map_or(0, |(half, ..)| *half);
            if told != half {
                continue;
            }
            for share in [0, 5_000, 9_500, 9_900, 10_000] {
                let (exact, found) = (naive.quantile(half, share), record.estimate(&Settings { slow: Some(Ratio::from_ten_thousandths(share)), ..(*settings).clone() }, at).slow);
                let (Some(exact), Some(found)) = (exact, found) else { prop_assert!(exact.is_none()); continue };
                prop_assert!(found >= ms(exact) && found <= ms(exact + exact / 4), "{found:?} for {exact}");
            }
        }
    }

    #[test]
    fn the_limit_stays_between_floor_and_ceiling_and_never_falls_by_more_than_a_tenth_a_second(
        merges in prop::collection::vec((0..5_000_u64, 0..40_000_u64, 0..400_u32, 0..20_u32), 1..60),
        floor in 1..500_u64,
    ) {
        let settings = Settings { floor: ms(floor), min_samples: 50, window: ms(10_000), ..settings() };
        let start = ms(100_000);
        let (mut now, mut seen) = (start, Vec::<(Duration, Duration)>::new());
        let mut record = Record::new(&settings, Monotonic::at(start));
        for (passed, took, times, cut) in merges {
            now += ms(passed);
            let mut counts = Counts::new();
            counts.values.record_many(millis(ms(took).min(settings.ceiling)), times);
            counts.cut = cut.min(times);
            record.merge(&settings, &counts, Monotonic::at(now));
            let estimate = record.estimate(&settings, Monotonic::at(now));
            prop_assert!(estimate.limit >= settings.floor && estimate.limit <= settings.ceiling);
            prop_assert!(estimate.target.is_none_or(|target| estimate.limit >= target), "it rises at once");
            for (then, before) in &seen {
                let least = before.as_secs_f64() * 0.9_f64.powf((now - *then).as_secs_f64());
                prop_assert!(estimate.limit.as_secs_f64() >= least * 0.999_999, "{before:?} to {:?}", estimate.limit);
            }
            seen.push((now, estimate.limit));
        }
    }

    #[test]
    fn any_bytes_are_a_record_or_none_and_a_record_comes_back(bytes: Vec<u8>, took in 0..40_000_u64, at in 0..u64::MAX) {
        let settings = settings();
        let mut record = Record::new(&settings, Monotonic::at(ms(5)));
        let mut counts = Counts::new();
        counts.values.record(took);
        record.merge(&settings, &counts, Monotonic::at(Duration::from_nanos(at)));
        let mut written = Vec::new();
        record.encode(&mut written);
        prop_assert_eq!(Record::decode(&written), Some(record));
        // As another's, with our head.
        let head = bytes.len().min(written.len());
        written[..head].copy_from_slice(&bytes[..head]);
        for mut found in [Record::decode(&bytes), Record::decode(&written)].into_iter().flatten() {
            found.merge(&settings, &counts, Monotonic::at(Duration::from_nanos(at)));
            let limit = found.estimate(&settings, Monotonic::at(Duration::from_nanos(at))).limit;
            prop_assert!(limit >= settings.floor && limit <= settings.ceiling);
        }
    }
}
