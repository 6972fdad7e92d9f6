//! A number that all VMs of a proxy change together, and parts of it that are always given back.

use crate::hostcalls::{self, Host};
use crate::metrics::Gauge;
use crate::plugin::Table;
use std::cell::{Cell, RefCell};

/// A gauge as a number that all VMs of a proxy count in. Envoy shows it under the gauge's name; it outlives a VM, and ends with
/// the process. Who adds must take away again, below zero it wraps: prefer [`Atomic::reserve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atomic(Gauge);

impl From<Gauge> for Atomic {
    fn from(gauge: Gauge) -> Atomic {
        Atomic(gauge)
    }
}

impl Atomic {
    /// One hostcall of numbers only, 0.08 µs; none for zero. There is no old value to be had: what the number was in between, nobody knows.
    ///
    /// # Errors
    /// What the host answered. Nothing was added then.
    pub fn add(&self, n: u32) -> Host<()> {
        self.change(i64::from(n))
    }

    /// One hostcall of numbers only, 0.08 µs; none for zero.
    ///
    /// # Errors
    /// What the host answered. Nothing was taken away then.
    pub fn sub(&self, n: u32) -> Host<()> {
        self.change(i64::from(n).wrapping_neg())
    }

    fn change(&self, n: i64) -> Host<()> {
        if n == 0 { Ok(()) } else { hostcalls::increment_metric(self.0.0.0, n) }
    }

    /// One hostcall, 0.10 µs, of numbers only.
    ///
    /// # Errors
    /// What the host answered.
    pub fn load(&self) -> Host<u64> {
        self.0.get()
    }

    /// Counts one more, if no more than `limit` are counted then. At no time do more than `limit` hold a reservation, whatever
    /// the other workers do.
    ///
    /// It adds first and looks then, so two that come at once for the last place may both be refused: each sees the other.
    /// Alone, it takes every place there is. A host that does not answer counts as full, and is logged.
    ///
    /// Two hostcalls and one more to give it back, together 0.27 µs, of numbers only; three when it is refused.
    #[must_use]
    pub fn reserve(&self, limit: u64) -> Option<Reservation> {
        let taken = Reservation::take(self.0).and_then(|taken| Ok((self.load()?, taken)));
        match taken {
            Ok((count, reservation)) if count <= limit => Some(reservation),
            Ok(_) => None,
            Err(error) => {
                crate::log!(Error, "nothing was reserved: {error}");
                None
            }
        }
    }
}

crate::vm_local! {
    /// What this VM has reserved, by metric: as many entries as there are gauges reserved of. One VM is one thread.
    static HELD: RefCell<Table<u32>> = const { RefCell::new(Table::new()) };
    /// Set by the first reservation: a module that makes none has no code for them.
    static USED: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// One counted in an [`Atomic`], until it is dropped.
///
/// Kept in a filter or in what its stream waits for, it is given back when the stream ends. What a VM still has is given back when
/// it panics, before Envoy throws it away, and when its last plugin goes. A VM that ends otherwise (its stack or its memory used
/// up) keeps what it had until Envoy is restarted.
#[derive(Debug)]
#[must_use = "it is given back when it is dropped"]
pub struct Reservation(Gauge);

impl Reservation {
    fn take(gauge: Gauge) -> Host<Reservation> {
        let id = gauge.0.0;
        USED.set(Some(give_back_held));
        // What may allocate comes before the call: from there on nothing stands between the count and its entry.
        HELD.with_borrow_mut(|held| {
            if held.get(id).is_none() {
                held.insert(id, 0);
            }
        });
        hostcalls::increment_metric(id, 1)?;
        HELD.with_borrow_mut(|held| {
            if let Some(count) = held.get_mut(id) {
                *count = count.saturating_add(1);
            }
        });
        Ok(Reservation(gauge))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let id = self.0.0.0;
        // What the panic hook gave back is not this VM's any more.
        let mine = HELD.try_with(|held| match held.try_borrow_mut().ok()?.get_mut(id) {
            Some(count) if *count > 0 => {
                *count = count.saturating_sub(1);
                Some(())
            }
            _ => None,
        });
        if let Ok(Some(())) = mine
            && let Err(error) = hostcalls::increment_metric(id, -1)
        {
            crate::log!(Error, "a reservation was not given back: {error}");
        }
    }
}

/// The VM is lost or goes: what it still has is given back, once.
pub(crate) fn give_back_all() {
    if let Some(give_back) = USED.get() {
        give_back();
    }
}

fn give_back_held() {
    let held =
        HELD.with(|held| held.try_borrow_mut().map(|mut held| std::mem::replace(&mut *held, Table::new())));
    for (id, count) in held.iter().flat_map(Table::iter) {
        if *count > 0 {
            // Nobody is left to be told of a failure: whoever calls this is on its way out.
            let _ = hostcalls::increment_metric(id, i64::from(*count).wrapping_neg());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Callbacks;
    use crate::hostcalls::model::{self, Turn};
    use crate::metrics::Id;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::SeqCst};

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Reserve(u64),
        GiveBack(usize),
        /// What the hook does, and then destructors all the same.
        Panic,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1..4_u64).prop_map(Step::Reserve),
            2 => (0..4_usize).prop_map(Step::GiveBack),
            1 => Just(Step::Panic),
        ];
        prop::collection::vec(step, 0..12)
    }

    fn schedule() -> impl Strategy<Value = Vec<Turn>> {
        let turn = (0..6_usize).prop_map(|vm| Turn { vm, passed: 1 });
        prop::collection::vec(turn, 0..120)
    }

    /// What is true of one gauge, known by counting where the VMs stand.
    #[derive(Default)]
    struct Truth {
        held: AtomicI64,
        refused: AtomicU32,
        granted: AtomicU32,
    }

    fn live(steps: &[Step], truth: &Truth) {
        let atomic = Atomic(Gauge(Id(5)));
        let mut mine = Vec::new();
        for step in steps {
            match *step {
                Step::Reserve(limit) => match atomic.reserve(limit) {
                    Some(reservation) => {
                        let held = truth.held.fetch_add(1, SeqCst) + 1;
                        assert!(held <= i64::try_from(limit).unwrap(), "{held} of {limit}");
                        truth.granted.fetch_add(1, SeqCst);
                        mine.push(reservation);
                    }
                    None => drop(truth.refused.fetch_add(1, SeqCst)),
                },
                Step::GiveBack(index) if !mine.is_empty() => {
                    truth.held.fetch_sub(1, SeqCst);
                    drop(mine.swap_remove(index % mine.len()));
                }
                Step::GiveBack(_) => {}
                Step::Panic => {
                    truth.held.fetch_sub(mine.len().try_into().unwrap(), SeqCst);
                    give_back_all();
                    give_back_all();
                    mine.clear();
                }
            }
        }
        truth.held.fetch_sub(mine.len().try_into().unwrap(), SeqCst);
    }

    fn boxed<'a>(vm: impl FnOnce() + Send + 'a) -> Box<dyn FnOnce() + Send + 'a> {
        Box::new(vm)
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_hold_one_and_in_the_end_all_is_given_back(
            vms in prop::collection::vec(steps(), 1..4),
            schedule in schedule(),
        ) {
            let truth = Truth::default();
            let left = model::run(&schedule, vms.iter().map(|steps| boxed(|| live(steps, &truth))).collect());
            prop_assert_eq!(left.metrics.get(&5).copied().unwrap_or_default(), 0);
            prop_assert_eq!(truth.held.load(SeqCst), 0);
        }

        #[test]
        fn alone_it_takes_every_place_there_is_and_no_other(steps in steps()) {
            let vm = || {
                let atomic = Atomic(Gauge(Id(5)));
                let mut mine = Vec::new();
                for step in &steps {
                    match *step {
                        Step::Reserve(limit) => {
                            let taken = atomic.reserve(limit);
                            assert_eq!(taken.is_some(), (mine.len() as u64) < limit);
                            mine.extend(taken);
                        }
                        Step::GiveBack(_) => drop(mine.pop()),
                        Step::Panic => {
                            give_back_all();
                            mine.clear();
                        }
                    }
                    assert_eq!(atomic.load(), Ok(mine.len() as u64));
                }
            };
            model::run(&[], vec![boxed(vm)]);
        }
    }

    #[test]
    fn two_that_come_at_once_for_the_last_place_may_both_be_refused() {
        let vms = [vec![Step::Reserve(1)], vec![Step::Reserve(1)]];
        let both = |order: &[usize]| {
            let truth = Truth::default();
            let turns: Vec<_> = order.iter().map(|vm| Turn { vm: *vm, passed: 0 }).collect();
            model::run(&turns, vms.iter().map(|steps| boxed(|| live(steps, &truth))).collect());
            (truth.granted.into_inner(), truth.refused.into_inner())
        };
        // Both start; both add; both look.
        assert_eq!(both(&[0, 0, 0, 0, 1]), (2, 0), "one after the other: the first gave back before");
        assert_eq!(both(&[0, 1, 0, 1, 0, 1]), (0, 2));
    }

    struct Nothing;

    impl crate::Configuration for Nothing {
        fn from_json(_: &crate::config::Json) -> Result<Nothing, crate::ConfigErrors> {
            Ok(Nothing)
        }
    }

    impl crate::HttpFilter for Nothing {}

    impl crate::Plugin for Nothing {
        const NAME: &'static str = "nothing";
        type Config = Nothing;
        type Filter = Nothing;

        fn configure(_: Nothing, _: &mut crate::Init) -> Result<Nothing, crate::ConfigErrors> {
            Ok(Nothing)
        }

        fn stream(self: &std::rc::Rc<Self>) -> Nothing {
            Nothing
        }
    }

    #[test]
    fn what_nobody_dropped_is_given_back_when_the_last_plugin_of_the_vm_goes() {
        let vm = || {
            let (vm, atomic) = (crate::internal::Vm::<Nothing>::new(), Atomic(Gauge(Id(5))));
            for root in [1, 2] {
                vm.on_context_create(root, 0);
            }
            std::mem::forget(atomic.reserve(9));
            vm.on_delete(1);
            assert_eq!(atomic.load(), Ok(1));
            vm.on_delete(2);
            assert_eq!(atomic.load(), Ok(0));
        };
        model::run(&[], vec![boxed(vm)]);
    }

    #[test]
    fn without_a_host_nothing_is_reserved_and_nothing_owed() {
        assert!(Atomic(Gauge(Id(5))).reserve(10).is_none());
        assert!(HELD.with_borrow(|held| held.iter().all(|(_, count)| *count == 0)));
    }
}
