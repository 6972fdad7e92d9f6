//! What the workers know together of the latencies of a rule's requests to a cluster.

use super::{CUT, Settings, histogram, micros, times};
use std::time::Duration;
use wayside_sdk::Monotonic;
use wayside_sdk::policy::LogHistogram;
use wayside_sdk::shared::Wire;
use wayside_sdk::units::Ratio;

/// Requests of a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Of those that were counted; one that was ended before its answer stands at the ceiling.
    pub(super) values: LogHistogram,
    /// How many of them the adaptive limit ended.
    pub(super) cut: u32,
}

/// Two halves of a window, of which the older is forgotten when a new one begins; and the limit that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The number of the current half; it is the one of that parity.
    half: u64,
    halves: [Counts; 2],
    limit: Duration,
    /// When the limit was last looked at.
    at: Monotonic,
    /// Until then the ceiling is the limit.
    held_until: Monotonic,
}

/// What a worker goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// How long a request may take now.
    pub limit: Duration,
    /// Where the limit is going; `None` while too little is known, or too much was ended.
    pub target: Option<Duration>,
    /// What half of the requests take, where it is asked for.
    pub median: Option<Duration>,
    /// After how long a request is slow, where it is asked for.
    pub slow: Option<Duration>,
}

impl Counts {
    pub(super) fn new() -> Counts {
        Counts { values: histogram(), cut: 0 }
    }

    pub(super) fn total(&self) -> u64 {
        self.values.total()
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.cut = 0;
    }

    fn add(&mut self, other: &Counts) {
        // Both have the buckets of `histogram`: what was read from a record is checked.
        let _ = self.values.merge(&other.values);
        self.cut = self.cut.saturating_add(other.cut);
    }
}

impl Record {
    #[must_use]
    pub fn new(settings: &Settings, now: Monotonic) -> Record {
        Record {
            half: settings.half(now),
            halves: [Counts::new(), Counts::new()],
            limit: settings.ceiling,
            at: now,
            held_until: Monotonic::default(),
        }
    }

    /// Forgets what has left the window, adds what a worker has counted, and has the limit follow.
    pub fn merge(&mut self, settings: &Settings, counts: &Counts, now: Monotonic) {
        self.turn(settings.half(now));
        let odd = self.half % 2 == 1;
        let [even_half, odd_half] = &mut self.halves;
        let current = if odd { odd_half } else { even_half };
        current.add(counts);
        if now < self.held_until {
            // They were under way when the limit was lifted, and are no reason to lift it once more.
            current.cut = 0;
        }
        self.follow(settings, now);
    }

    fn turn(&mut self, half: u64) {
        // Another worker was ahead, or nothing changed.
        let passed = half.saturating_sub(self.half);
        let [even_half, odd_half] = &mut self.halves;
        let (new, old) = if half % 2 == 1 { (odd_half, even_half) } else { (even_half, odd_half) };
        if passed > 0 {
            new.clear();
        }
        if passed > 1 {
            old.clear();
        }
        self.half = self.half.max(half);
    }

    fn window(&self) -> Counts {
        let [one, other] = &self.halves;
        let mut both = one.clone();
        both.add(other);
        both
    }

    fn follow(&mut self, settings: &Settings, now: Monotonic) {
        let window = self.window();
        if now >= self.held_until && too_many_cut(&window) {
            self.held_until = now.plus(settings.window);
            self.halves.iter_mut().for_each(|half| half.cut = 0);
        }
        let wanted = self.target(settings, &window, now).unwrap_or(settings.ceiling);
        // What was read may come from other settings than its hash says.
        let before = self.limit.clamp(settings.floor, settings.ceiling);
        self.limit = wanted.max(fallen(before, now.since(self.at)).max(settings.floor));
        self.at = self.at.max(now);
    }

    fn target(&self, settings: &Settings, window: &Counts, now: Monotonic) -> Option<Duration> {
        if now < self.held_until || window.total() < u64::from(settings.min_samples) {
            return None;
        }
        let told = window.values.quantile(settings.quantile)?;
        if told >= BEYOND_MILLIS {
            return Some(settings.ceiling);
        }
        let wanted = times(Duration::from_millis(told), settings.headroom);
        Some(wanted.clamp(settings.floor, settings.ceiling))
    }

    #[must_use]
    pub fn estimate(&self, settings: &Settings, now: Monotonic) -> Estimate {
        let window = self.window();
        let target = self.target(settings, &window, now);
        let known = window.total() >= u64::from(settings.min_samples);
        let quantile =
            |share: Ratio| window.values.quantile(share).filter(|_| known).map(Duration::from_millis);
        Estimate {
            limit: self.limit,
            target,
            median: settings.min_budget.and_then(|_| quantile(Ratio::from_ten_thousandths(5_000))),
            slow: settings.slow.and_then(quantile),
        }
    }
}

/// Where the histogram's last bucket begins: how long what is in it took, nobody knows.
const BEYOND_MILLIS: u64 = 114_688;

/// Seven eighths of what is allowed: workers end no more than their own share of that, rounded down, and never come to all of it.
fn too_many_cut(window: &Counts) -> bool {
    let cut = u64::from(window.cut).saturating_mul(u64::from(Ratio::DENOMINATOR)).saturating_mul(8);
    let allowed = window.total().saturating_mul(u64::from(CUT.numerator()));
    window.cut > 0 && cut >= allowed.saturating_mul(7)
}

/// Where a limit may be after this time: a tenth lower for each whole second, and of a part of one that part of a tenth. Cutting
/// a second into pieces never lets it fall further.
fn fallen(limit: Duration, passed: Duration) -> Duration {
    let mut limit = micros(limit);
    // After 400 s nothing is left of 24 h.
    for _ in 0..passed.as_secs().min(400) {
        limit = limit.saturating_mul(9).div_ceil(10);
    }
    let part = limit.saturating_mul(u64::from(passed.subsec_micros())).div_euclid(10_000_000);
    Duration::from_micros(limit.saturating_sub(part))
}

const NUMBERS: usize = 4;

/// Four numbers, then each half: how many were ended, and the histogram.
impl Wire for Record {
    const LAYOUT: u16 = 0x5401;

    fn encode(&self, out: &mut Vec<u8>) {
        let limit = micros(self.limit);
        let times = [self.at.nanos_since_start(), self.held_until.nanos_since_start()];
        for number in [[self.half, limit], times].concat() {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for half in &self.halves {
            out.extend_from_slice(&half.cut.to_le_bytes());
            half.values.encode(out);
        }
    }

    fn decode(bytes: &[u8]) -> Option<Record> {
        let (numbers, halves) = bytes.split_at_checked(NUMBERS * 8)?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let [half, limit, at, held] = numbers else { return None };
        let (one, other) = halves.split_at_checked(halves.len() / 2)?;
        Some(Record {
            half: u64::from_le_bytes(*half),
            halves: [counts(one)?, counts(other)?],
            limit: Duration::from_micros(u64::from_le_bytes(*limit)),
            at: moment(*at),
            held_until: moment(*held),
        })
    }
}

fn moment(nanos: [u8; 8]) -> Monotonic {
    Monotonic::at(Duration::from_nanos(u64::from_le_bytes(nanos)))
}

/// Only with the buckets that are used here: others could not be added to.
fn counts(bytes: &[u8]) -> Option<Counts> {
    let (cut, values) = bytes.split_first_chunk()?;
    let values = LogHistogram::decode(values)?;
    histogram().merge(&values).then_some(Counts { values, cut: u32::from_le_bytes(*cut) })
}
