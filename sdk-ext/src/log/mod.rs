//! Log records that cost a comparison when Envoy would drop them, and say of which request they are when it does not.

mod redacted;

pub use redacted::Redacted;

use crate::hostcalls;
use crate::stream::StreamId;
use crate::stream::waiting;
use std::cell::{Cell, RefCell};
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
    /// Streams that wrote a record, with the request's id. In no order: few write any.
    static WROTE: RefCell<Vec<(StreamId, String)>> = const { RefCell::new(Vec::new()) };
    /// Set by the first record of a stream.
    static FORGET: Cell<Option<fn(StreamId)>> = const { Cell::new(None) };
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
pub fn record(level: Level, record: fmt::Arguments<'_>) {
    match waiting::current() {
        Some(stream) => of_stream(level, stream, record),
        None => write(level, record),
    }
}

/// Not in each place that logs.
#[cold]
#[inline(never)]
fn of_stream(level: Level, stream: StreamId, record: fmt::Arguments<'_>) {
    // Asked for once a stream.
    let id = take(stream).unwrap_or_else(|| {
        // Twice there, if printing logged too.
        FORGET.set(Some(|stream| while take(stream).is_some() {}));
        shown(hostcalls::property(b"request\0id").ok().flatten().unwrap_or_default())
    });
    let label = if id.is_empty() { "" } else { " request_id=" };
    // What is printed may be somebody's own code, which logs itself: nothing is borrowed here.
    write(level, format_args!("stream={}{label}{id} {record}", stream.0));
    WROTE.with_borrow_mut(|wrote| wrote.push((stream, id)));
}

#[inline(never)]
fn take(stream: StreamId) -> Option<String> {
    WROTE.with_borrow_mut(|wrote| {
        let place = wrote.iter().position(|(wrote, _)| *wrote == stream)?;
        Some(wrote.swap_remove(place).1)
    })
}

/// Clients may choose the id: it cannot look like the rest of the record.
fn shown(mut id: Vec<u8>) -> String {
    let len = id.iter().take(64).take_while(|byte| byte.is_ascii_graphic()).count();
    id.truncate(len);
    String::from_utf8(id).unwrap_or_default()
}

/// The stream is gone.
pub(crate) fn forget(stream: StreamId) {
    if let Some(forget) = FORGET.get() {
        forget(stream);
    }
}

/// A record that is exactly these bytes, for logs that others read by machine: no stream is named before it. One hostcall where the level
/// is kept, none where it is not.
pub fn plain(level: Level, record: &[u8]) {
    if enabled(level) {
        hostcalls::log(level as u32, record);
    }
}

/// Without saying which stream it is of.
pub(crate) fn write(level: Level, record: fmt::Arguments<'_>) {
    hostcalls::log(level as u32, record.to_string().as_bytes());
}

/// Writes a record to Envoy's log: `log!(Warn, "no route for {host}")`.
///
/// When the level is off, nothing is evaluated: no hostcall, no allocation. Otherwise one hostcall, and with a stream's first record one
/// more that returns bytes, for the request's id; the stream's number is the VM's own. In a callback of a stream, or when one goes on
/// after waiting, the record begins with both:
///
/// ```text
/// stream=7 request_id=3f2c9a54-0bd7-4c56-9a53-1e5b6b8c2f10 no route for shop
/// ```
///
/// The id is `x-request-id` as it was then, which Envoy shows while request headers pass and when the stream is over: a stream that
/// writes its first record in between has no `request_id=`. Clients can choose ids: no more than 64 bytes are
/// written, and none from the first on that is no visible ASCII. Records of ticks and of the configuration have no such beginning.
///
/// Never give it a whole header block. A [`Redacted`] secret may be in what is printed.
#[macro_export]
macro_rules! log {
    ($level:ident, $($argument:tt)+) => {
        if $crate::log::enabled($crate::log::Level::$level) {
            $crate::log::record($crate::log::Level::$level, format_args!($($argument)+));
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_write_another_record_into_the_log() {
        for (id, text) in [
            (&b"3f2c-9a"[..], "3f2c-9a"),
            (b"", ""),
            (b"a b", "a"),
            (b"a\nlevel=critical", "a"),
            (b"a\xff", "a"),
            (b" ", ""),
        ] {
            assert_eq!(shown(id.into()), text);
        }
        assert_eq!(shown(vec![b'x'; 1000]).len(), 64);
    }
}
