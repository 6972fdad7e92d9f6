//! One worker against the same rules with a list of everything that happened instead of counters.

use super::*;
use proptest::prelude::*;

struct Model {
    limits: Limits,
    /// The slot of each.
    deposits: Vec<u64>,
    withdrawals: Vec<u64>,
    floor: u128,
    latest: Monotonic,
}

impl Model {
    fn slot(&self) -> u64 {
        self.limits.slots.number_at(self.latest)
    }

    fn count(&self, events: &[u64]) -> u128 {
        let first = self.slot() - u64::from(self.limits.slots.count()) + 1;
        events.iter().filter(|slot| **slot >= first).count() as u128
    }

    fn pass(&mut self, now: Monotonic) {
        let elapsed = now.since(self.latest).as_nanos();
        let burst = u128::from(self.limits.floor_burst) * 1_000_000_000;
        self.floor = (self.floor + elapsed * u128::from(self.limits.floor_rate)).min(burst);
        self.latest = self.latest.max(now);
    }

    fn grant(&mut self, now: Monotonic, wanted: u8) -> (u8, u8) {
        self.pass(now);
        let (mut share, mut floor) = (0, 0);
        for _ in 0..wanted {
            let allowed = self.count(&self.deposits) * u128::from(self.limits.ratio.numerator()) / 10_000;
            if self.count(&self.withdrawals) < allowed {
                self.withdrawals.push(self.slot());
                share += 1;
            } else if self.floor >= 1_000_000_000_000 {
                self.floor -= 1_000_000_000_000;
                floor += 1;
            }
        }
        (share, floor)
    }

    fn settle(&mut self, now: Monotonic, slot: u64, grant: (u8, u8), used: u8) {
        self.pass(now);
        let unused = (grant.0 + grant.1).saturating_sub(used);
        let to_floor = unused.min(grant.1);
        let burst = u128::from(self.limits.floor_burst) * 1_000_000_000;
        self.floor = (self.floor + u128::from(to_floor) * 1_000_000_000_000).min(burst);
        for _ in 0..unused - to_floor {
            if let Some(index) = self.withdrawals.iter().position(|it| *it == slot) {
                self.withdrawals.swap_remove(index);
            }
        }
    }
}

/// What happens next, after so many milliseconds.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Grant {
        wanted: u8,
    },
    /// Which of those that are open, and how many retries were used.
    Settle {
        which: prop::sample::Index,
        used: u8,
        succeeds: bool,
    },
    Deposit,
    Tick,
}

pub(super) fn any_step() -> impl Strategy<Value = (u64, Step)> {
    let passed = prop_oneof![8 => 0..300_u64, 1 => 900..12_000_u64];
    let step = prop_oneof![
        4 => (0..4_u8).prop_map(|wanted| Step::Grant { wanted }),
        4 => (any::<prop::sample::Index>(), 0..4_u8, any::<bool>())
            .prop_map(|(which, used, succeeds)| Step::Settle { which, used, succeeds }),
        2 => Just(Step::Deposit),
        1 => Just(Step::Tick),
    ];
    (passed, step)
}

proptest! {
    #[test]
    fn one_worker_gets_what_the_model_gives(
        ratio in prop_oneof![Just(2_000_u32), Just(6_000), 1..30_000_u32],
        rate in 0..5_000_u32,
        burst in 0..6_000_u32,
        count in 2..12_u8,
        steps in prop::collection::vec(any_step(), 1..160),
    ) {
        let mut limits = limits(ratio, FloorStyle::PerSecond, rate, burst);
        limits.slots = Slices::sliding(Duration::from_millis(700) * u32::from(count), count).unwrap();
        let mut budget = Budget::new(&limits, at(0));
        let floor = u128::from(burst) * 1_000_000_000;
        let mut model = Model { limits, deposits: vec![], withdrawals: vec![], floor, latest: at(0) };
        let (mut now, mut open) = (0, Vec::new());
        for (passed, step) in steps {
            now += passed;
            let time = at(now);
            match step {
                Step::Grant { wanted } => {
                    let grant = budget.grant(time, wanted);
                    let expected = model.grant(time, wanted);
                    prop_assert_eq!((grant.from_ratio, grant.from_floor), expected);
                    if grant.from_ratio > 0 {
                        prop_assert_eq!(grant.slot, model.slot());
                    }
                    open.push((grant, expected));
                }
                Step::Settle { which, used, succeeds } => {
                    if open.is_empty() { continue }
                    let (grant, expected) = open.swap_remove(which.index(open.len()));
                    let used = used.min(grant.retries());
                    let answer = if succeeds { Answer::Success } else { FAILED };
                    let back = budget.settle_by(0, time, &grant, &ended(u32::from(used), answer));
                    prop_assert_eq!(back + u32::from(used), u32::from(grant.retries()));
                    model.settle(time, grant.slot, expected, used);
                    if succeeds {
                        model.deposits.push(model.slot());
                    }
                }
                Step::Deposit => {
                    budget.deposit(time, 1);
                    model.pass(time);
                    model.deposits.push(model.slot());
                }
                Step::Tick => {
                    model.pass(time);
                    if budget.accounts[0].is_due(time) {
                        budget.visit(0, time, &Visit::default());
                    }
                }
            }
            // All told, both count the same.
            let mut told = budget.clone();
            told.flush(model.latest);
            prop_assert_eq!(u128::from(told.pool.window.deposits()), model.count(&model.deposits));
            prop_assert_eq!(u128::from(told.pool.window.withdrawals()), model.count(&model.withdrawals));
            prop_assert_eq!(u128::from(told.pool.floor), model.floor);
            let mut bytes = Vec::new();
            told.pool.encode(&mut bytes);
            prop_assert!(Pool::decode(&bytes).as_ref() == Some(&told.pool));
        }
    }

    #[test]
    fn rb_14_no_record_makes_it_panic_or_grant_more_than_asked(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(any::<u8>(), 192..=192),
            prop::collection::vec(prop_oneof![Just(0), Just(0xff)], 192..=192),
        ],
        nanos: u64,
        wanted: u8,
    ) {
        let limits = limits(2_000, FloorStyle::PerSecond, 1_000, 3_000);
        if let Some(pool) = Pool::decode(&bytes) {
            let now = Monotonic::at(Duration::from_nanos(nanos));
            let mut budget = Budget { pool, ..Budget::new(&limits, now) };
            let grant = budget.grant(now, wanted);
            prop_assert!(grant.retries() <= wanted);
            budget.settle_by(0, now, &grant, &ended(1, Answer::Success));
            prop_assert!(budget.grant(now, wanted).retries() <= wanted);
            prop_assert!(budget.pool.balance(&limits, now, 100) <= 100);
        }
    }
}
