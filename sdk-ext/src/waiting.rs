//! Which streams are paused, and for which stream guest code runs now.

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
    /// No stream: configuration, a tick, `on_log`.
    Root,
    /// A stream's own header or body callback: should it panic, the host answers the client.
    Own(StreamId),
    /// For a stream, but in a callback of the root: should it panic, the host answers nobody.
    For(StreamId),
}

crate::vm_local! {
    /// One VM is one thread.
    static PAUSED: RefCell<Vec<StreamId>> = const { RefCell::new(Vec::new()) };
    static NOW: Cell<Now> = const { Cell::new(Now::Root) };
}

pub(crate) fn pause(id: StreamId) {
    PAUSED.with_borrow_mut(|paused| {
        if let Err(index) = paused.binary_search(&id) {
            paused.insert(index, id);
        }
    });
}

/// It is answered, continued or gone.
pub(crate) fn over(id: StreamId) {
    PAUSED.with_borrow_mut(|paused| {
        if let Ok(index) = paused.binary_search(&id) {
            paused.remove(index);
        }
    });
}

pub(crate) fn is_paused(id: StreamId) -> bool {
    PAUSED.with_borrow(|paused| paused.binary_search(&id).is_ok())
}

/// Takes the streams that nobody will answer after a panic.
pub(crate) fn abandoned() -> Vec<StreamId> {
    // Borrowed only if the panic is this module's own.
    let mut streams = PAUSED
        .with(|paused| paused.try_borrow_mut().map(|mut p| std::mem::take(&mut *p)).unwrap_or_default());
    if let Now::Own(id) = NOW.get() {
        streams.retain(|stream| *stream != id);
    }
    streams
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

/// Whether this stream's code runs now: what it asks the host for is then done for it.
pub(crate) fn runs(id: StreamId) -> bool {
    matches!(NOW.get(), Now::Own(now) | Now::For(now) if now == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_answers_the_stream_whose_own_callback_panics_and_nobody_else() {
        let paused = |running: fn() -> Running| {
            for id in [7, 3, 5, 3] {
                pause(StreamId(id));
            }
            over(StreamId(5));
            let _running = running();
            abandoned().iter().map(|id| id.0).collect::<Vec<_>>()
        };
        assert_eq!(paused(Running::root), [3, 7]);
        assert_eq!(paused(|| Running::own_callback(StreamId(3))), [7]);
        assert_eq!(paused(|| Running::for_stream(StreamId(3))), [3, 7]);
        assert!(!is_paused(StreamId(3)), "answered once");
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
