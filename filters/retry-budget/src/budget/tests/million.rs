//! A million requests on four workers that are not equally busy, with deaths of VMs and reloads: to the token, and in the same memory.

use super::workers::Random;
use super::*;

/// What really happened under one configuration.
struct Truth {
    budget: Budget,
    /// By slot, as long as it is in the window: deposits and withdrawals that count, those of dead VMs among them.
    slots: std::collections::BTreeMap<u64, (u64, u64)>,
    floor_taken: u64,
    began: u64,
}

impl Truth {
    fn new(limits: &Limits, millis: u64) -> Truth {
        let budget = Budget::of_workers(4, limits, at(millis));
        Truth { budget, slots: Default::default(), floor_taken: 0, began: millis }
    }

    fn slot(&mut self, slot: u64) -> &mut (u64, u64) {
        self.slots.entry(slot).or_default()
    }

    fn check(&mut self, millis: u64) {
        let mut told = self.budget.clone();
        told.flush(at(millis));
        let last = told.pool.window.current();
        let first = last - u64::from(told.limits.slots.count()) + 1;
        self.slots.retain(|slot, _| *slot >= first);
        let count = |(deposits, withdrawals), slot: &(u64, u64)| (deposits + slot.0, withdrawals + slot.1);
        let expected = self.slots.values().fold((0, 0), count);
        assert_eq!((told.pool.window.deposits(), told.pool.window.withdrawals()), expected);
        let limits = told.limits;
        let floor =
            u64::from(limits.floor_burst) * 1_000 + (millis - self.began) * u64::from(limits.floor_rate);
        assert!(self.floor_taken * 1_000_000 <= floor, "{} of {floor}", self.floor_taken);
        let mut record = Vec::new();
        told.pool.encode(&mut record);
        assert_eq!(record.len(), 24 + 8 + 16 * usize::from(limits.slots.count()), "the same for ever");
    }
}

struct Running {
    ends: u64,
    worker: usize,
    grant: Grant,
    used: u32,
    answer: Answer,
    /// Of which configuration.
    reload: usize,
}

#[test]
fn a_million_requests_are_counted_to_the_token_through_deaths_reloads_and_imbalance() {
    let all = [
        limits(2_000, FloorStyle::PerSecond, 1_000, 3_000),
        limits(1_234, FloorStyle::PerSecond, 250, 1_000),
        limits(6_000, FloorStyle::Window, 500, 0),
    ];
    let mut random = Random(11);
    let mut truths = vec![Truth::new(&all[0], 0)];
    let mut running: std::collections::VecDeque<Running> = Default::default();
    let (mut deaths, mut most_running) = (0, 0);
    for request in 0..1_000_000_u64 {
        let millis = request / 3;
        while running.front().is_some_and(|it| it.ends <= millis) {
            let done = running.pop_front().unwrap();
            finish(&mut truths, &done, millis);
        }
        let reload = truths.len() - 1;
        // Seven in ten on the first worker, one in a hundred on the last.
        let worker = match random.below(100) {
            0..70 => 0,
            70..90 => 1,
            90..99 => 2,
            _ => 3,
        };
        let truth = &mut truths[reload];
        let grant = truth.budget.grant_by(worker, at(millis), 2);
        truth.slot(grant.slot).1 += u64::from(grant.from_ratio);
        truth.floor_taken += u64::from(grant.from_floor);
        // Quiet for most of the time, an outage for a tenth of it.
        let outage = millis / 10_000 % 10 == 3;
        let fails = |random: &mut Random| outage || random.below(20) == 0;
        let failures = (0..=grant.retries()).take_while(|_| fails(&mut random)).count();
        let used = u32::try_from(failures).unwrap().min(u32::from(grant.retries()));
        let answer = if failures <= usize::from(grant.retries()) { Answer::Success } else { FAILED };
        running.push_back(Running { ends: millis + 40, worker, grant, used, answer, reload });
        most_running = most_running.max(running.len());
        if random.below(20_000) == 0 {
            // A VM is gone with what it ran and what it had not told; what it was handed out stays charged until it has aged.
            deaths += 1;
            running.retain(|it| it.worker != worker);
            let untold: Vec<_> = truths[reload].budget.accounts[worker].untold().collect();
            let (slot, idle) = truths[reload].budget.accounts[worker].idle();
            let truth = &mut truths[reload];
            for (slot, slice) in untold {
                truth.slot(slot).0 -= slice.deposits;
                truth.slot(slot).1 += slice.withdrawals;
            }
            truth.slot(slot).1 += u64::from(idle);
            truth.budget.accounts[worker] = Account::new(&truth.budget.limits, at(millis));
        }
        if request % 300_000 == 299_999 {
            truths.push(Truth::new(&all[truths.len() % all.len()], millis));
        }
        if request % 2_500 == 0 {
            truths.iter_mut().for_each(|truth| truth.check(millis));
        }
    }
    let end = 1_000_000 / 3 + 100;
    running.iter().for_each(|done| finish(&mut truths, done, end));
    truths.iter_mut().for_each(|truth| truth.check(end));
    assert!(deaths > 20 && truths.len() == 4 && most_running < 200, "{deaths} {most_running}");
}

fn finish(truths: &mut [Truth], done: &Running, millis: u64) {
    let truth = &mut truths[done.reload];
    let end = ended(done.used, done.answer);
    let back = truth.budget.settle_by(done.worker, at(millis), &done.grant, &end);
    let to_floor = back.min(u32::from(done.grant.from_floor));
    truth.floor_taken -= u64::from(to_floor);
    if let Some((_, withdrawals)) = truth.slots.get_mut(&done.grant.slot) {
        *withdrawals -= u64::from(back - to_floor);
    }
    if done.answer == Answer::Success {
        let slot = truth.budget.limits.slots.number_at(at(millis));
        truth.slot(slot).0 += 1;
    }
}
