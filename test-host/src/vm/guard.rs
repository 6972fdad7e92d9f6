//! The clock that ends guests which do not end by themselves: the one thread of the library's own, and its one use of real time.
//!
//! It never reaches a replay's virtual time. What it ends is reported in the same words on every machine.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use wasmtime::Engine;

/// How often the engine's epoch moves on, in real time.
const TICK: Duration = Duration::from_millis(100);

/// Moves the epoch of engines on for as long as it lives.
#[derive(Debug)]
pub(super) struct Guard {
    /// Nothing is ever sent: that the sender is gone ends the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Guard {
    pub(super) fn start(engines: Vec<Engine>) -> io::Result<Self> {
        let (alive, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("wayside-guard".to_owned()).spawn(move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                engines.iter().for_each(Engine::increment_epoch);
            }
        })?;
        Ok(Guard { alive: Some(alive), thread: Some(thread) })
    }

    /// After how many epochs a callback has had at least this long: the first may be nearly over when it begins.
    pub(super) fn epochs(time: Duration) -> u64 {
        u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX / 2).saturating_add(1)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked, and there would be nothing to do about it here.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_has_at_least_the_time_it_was_promised() {
        assert_eq!(Guard::epochs(Duration::ZERO), 1);
        assert_eq!(Guard::epochs(Duration::from_millis(1)), 2);
        assert_eq!(Guard::epochs(Duration::from_secs(5)), 51);
        assert!(Guard::epochs(Duration::MAX) > 1 << 60);
    }
}
