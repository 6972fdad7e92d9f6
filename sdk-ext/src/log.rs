//! Log records that cost a comparison when Envoy would drop them.

use crate::hostcalls;
use std::cell::Cell;
use std::fmt;

/// Envoy's levels, by the ABI's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

crate::vm_local! {
    /// One VM is one thread. Everything is written until the host has been asked.
    static THRESHOLD: Cell<u32> = const { Cell::new(0) };
}

/// Asks the host which level it keeps. One hostcall: 0.1 µs; done at configuration, on ticks and every 64th stream.
pub(crate) fn poll_level() {
    if let Ok(level) = hostcalls::log_level() {
        THRESHOLD.set(level);
    }
}

/// Whether a record of this level would be kept. No hostcall.
#[must_use]
pub fn enabled(level: Level) -> bool {
    level as u32 >= THRESHOLD.get()
}

/// Use [`log!`](crate::log!), which does not even build the arguments when the level is off.
#[doc(hidden)]
pub fn write(level: Level, record: fmt::Arguments<'_>) {
    hostcalls::log(level as u32, record.to_string().as_bytes());
}

/// Writes a record to Envoy's log: `log!(Warn, "no route for {host}")`. Nothing is evaluated when the level is off.
///
/// Never give it a secret or a whole header block.
#[macro_export]
macro_rules! log {
    ($level:ident, $($argument:tt)+) => {
        if $crate::log::enabled($crate::log::Level::$level) {
            $crate::log::write($crate::log::Level::$level, format_args!($($argument)+));
        }
    };
}
