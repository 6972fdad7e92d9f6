//! Which streams are paused, and for which stream guest code runs now.

use crate::hostcalls::{Host, HostError};
use crate::plugin::Table;
use crate::stream::StreamId;
use crate::time;
use std::cell::{Cell, RefCell};

/// The half of a stream that is held, by the ABI's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request = 0,
    Response = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    /// No stream: configuration, a tick.
    Root,
    /// A stream's own header or body callback: should it panic, the host answers the client.
    Own(StreamId),
    /// For a stream, but in a callback of the root: should it panic, the host answers nobody.
    For(StreamId),
}

crate::vm_local! {
    /// The root of each paused stream. One VM is one thread.
    static PAUSED: RefCell<Table<u32>> = const { RefCell::new(Table::new()) };
    static NOW: Cell<Now> = const { Cell::new(Now::Root) };
}

crate::vm_local! {
    /// Set where messages are held for something: a module that never does needs no callbacks for what comes meanwhile.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Messages of this module may be held while more of them comes.
pub(crate) fn expect() {
    EXPECTED.set(true);
}

pub(crate) fn is_expected() -> bool {
    EXPECTED.get()
}

pub(crate) fn pause(id: StreamId, root: u32) {
    PAUSED.with_borrow_mut(|paused| paused.insert(id.0, root));
}

/// It is answered, continued or gone.
pub(crate) fn over(id: StreamId) {
    PAUSED.with_borrow_mut(|paused| paused.remove(id.0));
}

pub(crate) fn is_paused(id: StreamId) -> bool {
    PAUSED.with_borrow(|paused| paused.get(id.0).is_some())
}

/// The paused streams of one plugin.
pub(crate) fn of_root(root: u32) -> Vec<StreamId> {
    PAUSED.with_borrow(|paused| {
        paused.iter().filter(|(_, of)| **of == root).map(|(id, _)| StreamId(id)).collect()
    })
}

/// Takes the streams that nobody will answer after a panic.
pub(crate) fn abandoned() -> Vec<StreamId> {
    // Borrowed only if the panic is this module's own.
    let paused = PAUSED.with(|paused| {
        paused
            .try_borrow_mut()
            .map_or_else(|_| Table::new(), |mut paused| std::mem::replace(&mut *paused, Table::new()))
    });
    let own = match NOW.get() {
        Now::Own(id) => id.0,
        _ => 0,
    };
    paused.iter().filter(|(id, _)| *id != own).map(|(id, _)| StreamId(id)).collect()
}

/// Says for whom guest code runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(Now);

impl Running {
    pub(crate) fn root() -> Running {
        Running::begin(Now::Root)
    }

    pub(crate) fn own_callback(id: StreamId) -> Running {
        Running::begin(Now::Own(id))
    }

    pub(crate) fn for_stream(id: StreamId) -> Running {
        Running::begin(Now::For(id))
    }

    fn begin(now: Now) -> Running {
        time::forget();
        Running(NOW.replace(now))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        NOW.set(self.0);
    }
}

/// The stream that guest code runs for, and that hostcalls are for.
pub(crate) fn current() -> Option<StreamId> {
    match NOW.get() {
        Now::Root => None,
        Now::Own(id) | Now::For(id) => Some(id),
    }
}

/// `bad argument` where another stream's code runs, or nobody's: the host would do `call` for that one.
#[inline]
pub(crate) fn must_run(id: StreamId, call: &'static str) -> Host<()> {
    if runs(id) { Ok(()) } else { Err(HostError::not_now(call)) }
}

/// Whether this stream's code runs now: what it asks the host for is then done for it.
pub(crate) fn runs(id: StreamId) -> bool {
    current() == Some(id)
}

/// The host is in a callback of this stream, and not in one of the root that is about it.
pub(crate) fn is_own_callback(id: StreamId) -> bool {
    NOW.get() == Now::Own(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_answers_the_stream_whose_own_callback_panics_and_nobody_else() {
        let paused = |running: fn() -> Running| {
            for id in [7, 3, 5, 3] {
                pause(StreamId(id), 1);
            }
            over(StreamId(5));
            let _running = running();
            abandoned().iter().map(|id| id.0).collect::<Vec<_>>()
        };
        assert_eq!(paused(Running::root), [3, 7]);
        assert_eq!(paused(|| Running::own_callback(StreamId(3))), [7]);
        assert_eq!(paused(|| Running::for_stream(StreamId(3))), [3, 7]);
        assert!(!is_paused(StreamId(3)), "answered once");
        pause(StreamId(9), 2);
        assert_eq!(of_root(2), [StreamId(9)]);
        assert_eq!(of_root(1), []);
    }

    #[test]
    fn a_nested_callback_does_not_forget_the_outer_one() {
        let _outer = Running::own_callback(StreamId(1));
        {
            let _inner = Running::for_stream(StreamId(2));
            assert!(runs(StreamId(2)) && !runs(StreamId(1)));
        }
        assert!(runs(StreamId(1)));
    }
}
