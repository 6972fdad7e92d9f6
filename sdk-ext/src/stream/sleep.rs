//! Waiting for a time, as one waits for an answer.

use crate::hostcalls::Host;
use crate::plugin::Table;
use crate::stream::{Stream, StreamId};
use crate::time::Monotonic;
use crate::time::timers::TimerId;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

impl Stream {
    /// Waits until the first tick not before `when`, in what is given to [`Flow::wait`](crate::Flow::wait). The costs and the delay of
    /// [`at`](Self::at), two allocations more, and one hostcall when it is over, of numbers only.
    pub fn sleep_until(&self, when: Monotonic) -> Sleep {
        let over = Rc::new(Cell::new(false));
        let tell = over.clone();
        let timer = self.at(when, move |parked| {
            tell.set(true);
            WOKEN.with_borrow_mut(|woken| woken.push(parked.stream()));
        });
        if timer.is_ok() {
            count(self.id(), |sleeping| sleeping.saturating_add(1));
            USED.set(Some(USE));
        }
        Sleep { stream: self.id(), timer, over }
    }
}

/// A time that is waited for. What it comes to is an error when the host refused to start the tick.
#[derive(Debug)]
#[must_use = "nothing waits until it is awaited"]
pub struct Sleep {
    stream: StreamId,
    timer: Host<TimerId>,
    over: Rc<Cell<bool>>,
}

impl Future for Sleep {
    type Output = Host<()>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Host<()>> {
        match self.timer {
            Err(error) => Poll::Ready(Err(error)),
            Ok(_) if self.over.get() => Poll::Ready(Ok(())),
            Ok(_) => Poll::Pending,
        }
    }
}

/// The timer itself ends with its stream, or runs and tells nobody.
impl Drop for Sleep {
    fn drop(&mut self) {
        if self.timer.is_ok() {
            count(self.stream, |sleeping| sleeping.saturating_sub(1));
        }
    }
}

/// What is done about sleeping streams, once there are any.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    pub(crate) sleeps: fn(StreamId) -> bool,
    pub(crate) take_woken: fn() -> Vec<StreamId>,
}

const USE: Used = Used { sleeps, take_woken };

crate::vm_local! {
    /// Set by the first sleep: a module in which nobody sleeps has no code for it.
    static USED: Cell<Option<Used>> = const { Cell::new(None) };
    /// How many times each stream sleeps now: a stream may do so and wait for something else.
    static SLEEPING: RefCell<Table<u32>> = const { RefCell::new(Table::new()) };
    /// Whose time came in the tick that runs.
    static WOKEN: RefCell<Vec<StreamId>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn used() -> Option<Used> {
    USED.get()
}

fn sleeps(stream: StreamId) -> bool {
    SLEEPING.with_borrow(|sleeping| sleeping.get(stream.0).is_some())
}

fn take_woken() -> Vec<StreamId> {
    WOKEN.take()
}

fn count(stream: StreamId, change: fn(u32) -> u32) {
    SLEEPING.with_borrow_mut(|sleeping| match change(sleeping.get(stream.0).copied().unwrap_or(0)) {
        0 => drop(sleeping.remove(stream.0)),
        times => drop(sleeping.insert(stream.0, times)),
    });
}
