//! A proxy for tests of what several VMs change together: each VM is a thread, only one runs at a time, and at each hostcall
//! a schedule says which one goes on. So any order of hostcalls that workers can come to is one that a test can ask for.

use super::{Status, raw};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Who goes on at a hostcall, and how much time has passed until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) vm: usize,
    pub(crate) passed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) metrics: BTreeMap<u32, u64>,
    pub(crate) data: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    pub(crate) now: u64,
    last_cas: u32,
    schedule: VecDeque<Turn>,
    /// At a hostcall.
    waiting: BTreeSet<usize>,
    /// Not yet ended.
    live: usize,
    turn: Option<usize>,
}

impl State {
    /// When nobody runs: who goes on.
    fn choose(&mut self) {
        if self.turn.is_some() || self.live == 0 || self.waiting.len() < self.live {
            return;
        }
        let turn = self.schedule.pop_front().unwrap_or(Turn { vm: 0, passed: 1 });
        self.now += turn.passed;
        self.turn = self.waiting.iter().nth(turn.vm % self.waiting.len()).copied();
    }
}

#[derive(Debug, Default)]
struct Proxy {
    state: Mutex<State>,
    changed: Condvar,
}

thread_local! {
    static VM: RefCell<Option<(Arc<Proxy>, usize)>> = const { RefCell::new(None) };
}

/// Runs the VMs to their end and returns what is left in the proxy. When the schedule is used up, the first goes on.
pub(crate) fn run(schedule: &[Turn], vms: Vec<Box<dyn FnOnce() + Send + '_>>) -> State {
    let proxy = Arc::new(Proxy::default());
    {
        let mut state = proxy.state.lock().unwrap();
        state.schedule = schedule.iter().copied().collect();
        state.live = vms.len();
    }
    std::thread::scope(|scope| {
        for (number, vm) in vms.into_iter().enumerate() {
            let proxy = proxy.clone();
            scope.spawn(move || {
                let end = End(&proxy);
                VM.set(Some((proxy.clone(), number)));
                now();
                vm();
                drop(end);
            });
        }
    });
    std::mem::take(&mut proxy.state.lock().unwrap())
}

/// The others go on, even when this one failed its test.
struct End<'a>(&'a Proxy);

impl Drop for End<'_> {
    fn drop(&mut self) {
        VM.set(None);
        let mut state = self.0.state.lock().unwrap();
        state.live -= 1;
        state.choose();
        self.0.changed.notify_all();
    }
}

/// `None` where no proxy runs.
fn at_the_host<R>(call: impl FnOnce(&mut State) -> R) -> Option<R> {
    let (proxy, me) = VM.with_borrow(Clone::clone)?;
    let mut state: MutexGuard<'_, State> = proxy.state.lock().unwrap();
    state.waiting.insert(me);
    state.choose();
    proxy.changed.notify_all();
    let mut state = proxy.changed.wait_while(state, |state| state.turn != Some(me)).unwrap();
    state.turn = None;
    state.waiting.remove(&me);
    Some(call(&mut state))
}

/// The one clock of all VMs. A hostcall like the others: time may pass before it and after it.
pub(crate) fn now() -> u64 {
    at_the_host(|state| state.now).unwrap_or_default()
}

/// The time now, without a hostcall: between two of them no time passes.
pub(crate) fn time_of_the_last_call() -> u64 {
    let proxy = VM.with_borrow(|vm| vm.as_ref().map(|(proxy, _)| proxy.clone()));
    proxy.map(|proxy| proxy.state.lock().unwrap().now).unwrap_or_default()
}

pub(super) fn increment_metric(id: u32, offset: i64) -> u32 {
    at_the_host(|state| {
        let value = state.metrics.entry(id).or_default();
        *value = value.wrapping_add_signed(offset);
        Status::OK.0
    })
    .unwrap_or_else(|| raw::increment_metric(id, offset))
}

pub(super) fn metric(id: u32) -> (u32, u64) {
    at_the_host(|state| (Status::OK.0, state.metrics.get(&id).copied().unwrap_or_default()))
        .unwrap_or_else(|| raw::metric(id))
}

pub(super) fn shared_data(key: &[u8]) -> (u32, Option<Vec<u8>>, u32) {
    at_the_host(|state| match state.data.get(key) {
        Some((value, cas)) => (Status::OK.0, Some(value.clone()), *cas),
        None => (Status::NOT_FOUND.0, None, 0),
    })
    .unwrap_or_else(|| raw::shared_data(key))
}

/// As Envoy does it: zero always writes, any number writes what is not there.
pub(super) fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> u32 {
    at_the_host(|state| {
        if state.data.get(key).is_some_and(|(_, stored)| cas != 0 && cas != *stored) {
            return Status::CAS_MISMATCH.0;
        }
        state.last_cas += 1;
        state.data.insert(key.to_vec(), (value.to_vec(), state.last_cas));
        Status::OK.0
    })
    .unwrap_or_else(|| raw::set_shared_data(key, value, cas))
}
