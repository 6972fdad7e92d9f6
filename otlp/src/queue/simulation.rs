//! A queue, the traffic that fills it and a collector that does what it likes, in simulated time; beside them a witness that knows of
//! each item what became of it, by what the collector was sent and said.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TERMS: Terms = Terms {
    max_items: 20,
    max_bytes: 400,
    batch_items: 6,
    batch_bytes: 120,
    interval: Duration::from_secs(5),
    timeout: Duration::from_secs(10),
    max_attempts: 3,
};

/// How the collector answers.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Takes {
        rejected: u64,
    },
    Refuses,
    Throttles {
        seconds: u64,
    },
    Unavailable,
    /// The proxy tells of the timeout, after this many milliseconds more than it should.
    Hangs {
        late: u64,
    },
    /// Not even the proxy tells.
    Vanishes,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Record { size: usize, error: bool },
    Pass { millis: u64 },
    Collector { manner: Manner, latency: u64 },
    End,
}

struct OnItsWay {
    arrives: u64,
    flight: Flight,
    verdict: Verdict,
    items: Vec<u32>,
}

struct World {
    now: u64,
    chance: u8,
    queue: Queue,
    manner: (Manner, u64),
    on_its_way: Vec<OnItsWay>,
    witness: Witness,
}

#[derive(Default)]
struct Witness {
    recorded: u32,
    /// How often each item was sent.
    sent: BTreeMap<u32, u8>,
    /// Never to be sent again.
    settled: BTreeSet<u32>,
    exported: u64,
    rejected: u64,
    refused: u64,
    /// Nothing may be sent before.
    throttled_until: u64,
    /// The last sending and what was in it, until its answer came or was given up.
    under_way: Option<(Flight, u64)>,
    ended: Option<u64>,
}

impl World {
    fn new() -> World {
        World {
            now: 0,
            chance: 0,
            queue: Queue::new(TERMS, Uptime::default(), Chance(0)),
            manner: (Manner::Takes { rejected: 0 }, 20),
            on_its_way: Vec::new(),
            witness: Witness::default(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Record { size, error } => self.record(size, error),
            Step::Pass { millis } => self.pass(millis),
            Step::Collector { manner, latency } => self.manner = (manner, latency),
            Step::End => {
                self.queue.end(at(self.now));
                self.witness.ended.get_or_insert(self.now);
                self.witness.throttled_until = 0;
                self.send();
            }
        }
        self.check();
    }

    fn record(&mut self, size: usize, error: bool) {
        let mut bytes = self.witness.recorded.to_le_bytes().to_vec();
        bytes.resize(size.max(4), 0);
        self.witness.recorded += 1;
        let weight = if error { Weight::Error } else { Weight::Ordinary };
        if self.queue.record(bytes, weight) {
            self.send();
        }
    }

    /// To the end of this time, with everything in it in its order.
    fn pass(&mut self, millis: u64) {
        let end = self.now + millis;
        loop {
            let wakes = self.queue.wakes().map_or(u64::MAX, |wakes| {
                u64::try_from(wakes.0.as_nanos().div_ceil(1_000_000)).unwrap().max(self.now + 1)
            });
            let answer = self.on_its_way.iter().map(|answer| answer.arrives).min().unwrap_or(u64::MAX);
            let next = wakes.min(answer.max(self.now));
            if next > end {
                break;
            }
            self.now = next;
            if answer <= next {
                let index = self.on_its_way.iter().position(|answer| answer.arrives <= next).unwrap();
                let answer = self.on_its_way.swap_remove(index);
                self.arrive(&answer);
            } else {
                self.send();
            }
            self.check();
        }
        self.now = end;
    }

    fn chance(&mut self) -> Chance {
        self.chance = self.chance.wrapping_mul(77).wrapping_add(41);
        Chance(self.chance)
    }

    fn send(&mut self) {
        let chance = self.chance();
        let Some(batch) = self.queue.next(at(self.now), chance) else { return };
        let items: Vec<u32> =
            batch.items().map(|item| u32::from_le_bytes(item[..4].try_into().unwrap())).collect();
        let (flight, bytes) = (batch.flight, batch.items().map(<[u8]>::len).sum::<usize>());
        assert!(!items.is_empty() && items.len() <= TERMS.batch_items && bytes <= TERMS.batch_bytes);
        assert!(items.is_sorted(), "in the order in which they were recorded");
        self.witness.sends(flight, &items, self.now);
        let (manner, latency) = self.manner;
        let verdict = match manner {
            Manner::Takes { rejected } => Verdict::Taken { rejected },
            Manner::Refuses => Verdict::Refused,
            Manner::Throttles { seconds } => Verdict::Later(Some(Duration::from_secs(seconds))),
            Manner::Unavailable | Manner::Hangs { .. } | Manner::Vanishes => Verdict::Later(None),
        };
        let takes = match manner {
            Manner::Hangs { late } => 10_000 + late,
            Manner::Vanishes => return,
            _ => latency,
        };
        self.on_its_way.push(OnItsWay { arrives: self.now + takes, flight, verdict, items });
    }

    fn arrive(&mut self, answer: &OnItsWay) {
        let is_in_time = self.witness.hears(answer, self.now);
        let before = *self.queue.ledger();
        let chance = self.chance();
        let more = self.queue.answered(answer.flight, answer.verdict, at(self.now), chance);
        assert!(is_in_time || (before == *self.queue.ledger() && !more), "nothing comes of what is too late");
        if more {
            self.send();
        }
    }

    fn check(&self) {
        let (ledger, queue) = (self.queue.ledger(), &self.queue);
        let len = u64::try_from(queue.len()).unwrap();
        assert_eq!(ledger.recorded, u64::from(self.witness.recorded));
        assert_eq!(ledger.recorded, ledger.exported + ledger.lost() + len, "the law");
        assert_eq!(ledger.queued(), len);
        assert_eq!(ledger.exported, self.witness.exported);
        assert_eq!(ledger.dropped_for(DropReason::Rejected), self.witness.rejected);
        assert_eq!(ledger.dropped_for(DropReason::ClientError), self.witness.refused);
        assert!(queue.len() <= TERMS.max_items && queue.bytes <= TERMS.max_bytes);
        let bytes = queue.waiting.iter().chain(&queue.batch).map(|item| item.bytes.len()).sum::<usize>();
        assert_eq!(queue.bytes, bytes);
        if self.witness.ended.is_some_and(|ended| self.now > ended + 20_000) {
            assert_eq!(queue.len(), 0, "nobody lingers");
        }
    }
}

impl Witness {
    fn sends(&mut self, flight: Flight, items: &[u32], now: u64) {
        assert!(now >= self.throttled_until, "sent at {now}, not before {}", self.throttled_until);
        if let Some((_, until)) = self.under_way {
            assert!(now >= until, "two under way at once");
        }
        self.under_way = Some((flight, now + 15_000));
        for item in items {
            assert!(!self.settled.contains(item), "{item} was settled");
            let sent = self.sent.entry(*item).or_default();
            *sent += 1;
            assert!(*sent <= TERMS.max_attempts, "{item} was sent {sent} times");
        }
    }

    /// Whether somebody still waits for it.
    fn hears(&mut self, answer: &OnItsWay, now: u64) -> bool {
        match self.under_way {
            // Who is asked at the very moment is as good as before it.
            Some((flight, until)) if flight == answer.flight && now <= until => {}
            _ => return false,
        }
        if self.ended.is_some_and(|ended| now > ended + 20_000) {
            return false;
        }
        self.under_way = None;
        let len = u64::try_from(answer.items.len()).unwrap();
        match answer.verdict {
            Verdict::Taken { rejected } => {
                self.rejected += rejected.min(len);
                self.exported += len - rejected.min(len);
                self.settled.extend(&answer.items);
            }
            Verdict::Refused => {
                self.refused += len;
                self.settled.extend(&answer.items);
            }
            Verdict::Later(asked) if self.ended.is_none() => {
                let asked = asked.unwrap_or(Duration::from_millis(500)).min(terms::LONGEST_ASKED);
                self.throttled_until = now + u64::try_from(asked.as_millis()).unwrap();
            }
            Verdict::Later(_) => self.settled.extend(&answer.items),
        }
        true
    }
}

fn at(millis: u64) -> Uptime {
    Uptime(Duration::from_millis(millis))
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        3 => Just(Manner::Takes { rejected: 0 }),
        1 => (0..9_u64).prop_map(|rejected| Manner::Takes { rejected }),
        1 => Just(Manner::Takes { rejected: u64::MAX }),
        1 => Just(Manner::Refuses),
        2 => (0..40_u64).prop_map(|seconds| Manner::Throttles { seconds }),
        1 => Just(Manner::Throttles { seconds: u64::MAX }),
        2 => Just(Manner::Unavailable),
        2 => (0..9_000_u64).prop_map(|late| Manner::Hangs { late }),
        1 => Just(Manner::Vanishes),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (4..60_usize, prop::bool::weighted(0.2)).prop_map(|(size, error)| Step::Record { size, error }),
        1 => (100..500_usize, any::<bool>()).prop_map(|(size, error)| Step::Record { size, error }),
        4 => (0..3_000_u64).prop_map(|millis| Step::Pass { millis }),
        2 => (3_000..60_000_u64).prop_map(|millis| Step::Pass { millis }),
        3 => (manner(), 0..9_000_u64).prop_map(|(manner, latency)| Step::Collector { manner, latency }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn te_7_whatever_a_collector_does_every_item_is_in_exactly_one_place(steps in vec(step(), 0..120)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        // A good collector takes all that is left, and no pause that was asked for is longer than ten minutes.
        world.step(Step::Collector { manner: Manner::Takes { rejected: 0 }, latency: 1 });
        world.pass(1_000_000);
        world.check();
        prop_assert_eq!(world.queue.len(), 0);
        let exhausted = world.queue.ledger().dropped_for(DropReason::Exhausted);
        let tried = world.witness.sent.iter().filter(|(item, sent)| {
            **sent == TERMS.max_attempts && !world.witness.settled.contains(item)
        });
        prop_assert_eq!(exhausted, tried.count() as u64);
        prop_assert_eq!(world.queue.ledger().dropped_for(DropReason::Shutdown), 0);
    }

    #[test]
    fn te_7_whoever_ends_leaves_nothing_unaccounted(before in vec(step(), 0..60), after in vec(step(), 0..20)) {
        let mut world = World::new();
        for step in before.into_iter().chain([Step::End]).chain(after) {
            world.step(step);
        }
        world.pass(20_001);
        world.check();
        prop_assert_eq!(world.queue.len(), 0);
    }
}
