//! Log records that cost a comparison when Envoy would drop them, and say of which request they are when it does not.

mod redacted;

pub use redacted::Redacted;

use crate::plugin::Table;
use crate::stream::StreamId;
use crate::{hostcalls, waiting};
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::rc::Rc;

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

thread_local! {
    /// One VM is one thread. Everything is written until the host has been asked.
    static THRESHOLD: Cell<u32> = const { Cell::new(0) };
    /// What stands in front of the records of a stream that wrote one.
    static WROTE: RefCell<Table<Rc<str>>> = const { RefCell::new(Table::new()) };
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
    let known = WROTE.with_borrow(|wrote| wrote.get(stream.0).cloned());
    let prefix = known.unwrap_or_else(|| {
        let prefix: Rc<str> =
            prefix(stream, &hostcalls::property(b"request\0id").ok().flatten().unwrap_or_default()).into();
        WROTE.with_borrow_mut(|wrote| wrote.insert(stream.0, prefix.clone()));
        FORGET.set(Some(|stream| drop(WROTE.with_borrow_mut(|wrote| wrote.remove(stream.0)))));
        prefix
    });
    write(level, format_args!("{prefix}{record}"));
}

/// Longest request id in bytes, escapes counted: clients may choose it.
const LONGEST_ID: usize = 64;

fn prefix(stream: StreamId, request_id: &[u8]) -> String {
    let mut text = String::from("stream=");
    let _ = write!(text, "{} ", stream.0);
    if request_id.is_empty() {
        return text;
    }
    text.push_str("request_id=");
    let longest = text.len().saturating_add(LONGEST_ID);
    for byte in request_id {
        match byte {
            b'%' | 0..=b' ' | 0x7f.. if text.len().saturating_add(3) <= longest => {
                let _ = write!(text, "%{byte:02X}");
            }
            b'!'..=b'~' if *byte != b'%' && text.len() < longest => text.push(char::from(*byte)),
            _ => break,
        }
    }
    text.push(' ');
    text
}

/// The stream is gone.
pub(crate) fn forget(stream: StreamId) {
    if let Some(forget) = FORGET.get() {
        forget(stream);
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
/// writes its first record in between has no `request_id=`. Of an id that a client chose, no more than 64 bytes are written, and whatever
/// is no visible ASCII as `%20`. Records of ticks and of the configuration have no such beginning.
///
/// Never give it a whole header block. A [`Redacted`](crate::log::Redacted) secret may be in what is printed.
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
        for (id, shown) in [
            (&b"3f2c-9a"[..], "stream=7 request_id=3f2c-9a "),
            (b"", "stream=7 "),
            (b"a b\n%\xff", "stream=7 request_id=a%20b%0A%25%FF "),
            (b" level=critical", "stream=7 request_id=%20level=critical "),
        ] {
            assert_eq!(prefix(StreamId(7), id), shown);
        }
        assert_eq!(prefix(StreamId(7), &[b'x'; 1000]).len(), "stream=7 request_id= ".len() + 64);
        assert_eq!(prefix(StreamId(7), &[b' '; 1000]), format!("stream=7 request_id={} ", "%20".repeat(21)));
    }
}
