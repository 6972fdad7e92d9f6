//! Calls that belong to the plugin and to no stream: whoever asked may be gone when the answer comes.

use super::{Call, CallError, CallResponse, read};
use crate::hostcalls::Host;
use crate::plugin::{Root, Table};
use crate::stream::waiting;
use crate::stream::{LogCx, Stream};
use crate::time::Monotonic;
use crate::time::timers::Timers;
use std::cell::{Cell, RefCell};

/// From where a plugin sends for itself: a callback of one of its streams, or its own.
pub trait Caller: sealed::Caller {}

impl Caller for Root {}
impl Caller for Stream {}
/// Of a stream that is over: nobody else can send any more.
impl Caller for LogCx {}

mod sealed {
    pub trait Caller {
        /// Whether hostcalls are for this one now.
        fn runs(&self) -> bool;
    }
}

impl sealed::Caller for Root {
    fn runs(&self) -> bool {
        waiting::current().is_none()
    }
}

impl sealed::Caller for Stream {
    fn runs(&self) -> bool {
        waiting::runs(self.id())
    }
}

impl sealed::Caller for LogCx {
    fn runs(&self) -> bool {
        waiting::runs(self.stream().id())
    }
}

impl Call<'_> {
    /// Sends it for the plugin: `done` runs when the answer has come or will not come, whatever has become of the stream that gave rise
    /// to it. No stream waits for it by that: see [`Stream::sleep_until`].
    ///
    /// One hostcall to send; when the answer comes, one for the time, one that returns bytes for its headers, and one more with
    /// [`read_body`](Self::read_body).
    ///
    /// # Errors
    /// Why it was not sent. `done` does not run then.
    pub fn send_for_root(
        self,
        from: &impl Caller,
        done: impl FnOnce(&mut Root, Result<CallResponse, CallError>) + 'static,
    ) -> Result<(), CallError> {
        if !from.runs() {
            return Err(CallError::NotNow);
        }
        let read_body = self.read_body;
        let token = self.start()?;
        let call = UnderWay { read_body, done: Box::new(done) };
        let before = UNDER_WAY.with_borrow_mut(|calls| calls.insert(token, call));
        drop(before);
        ARRIVED.set(Some(arrived));
        Ok(())
    }
}

type Done = Box<dyn FnOnce(&mut Root, Result<CallResponse, CallError>)>;

struct UnderWay {
    read_body: Option<usize>,
    done: Done,
}

/// Root context, token, number of headers and of bytes. Whether the call was one of these.
type Arrived = fn(u32, u32, u32, usize) -> Host<bool>;

crate::vm_local! {
    /// By token.
    static UNDER_WAY: RefCell<Table<UnderWay>> = const { RefCell::new(Table::new()) };
    /// Set by the first call: a module that makes none has no code for answers.
    static ARRIVED: Cell<Option<Arrived>> = const { Cell::new(None) };
}

/// What takes in an answer; `None` where none can come.
pub(crate) fn receiver() -> Option<Arrived> {
    ARRIVED.get()
}

fn arrived(root: u32, token: u32, headers: u32, body_size: usize) -> Host<bool> {
    let call = UNDER_WAY.with_borrow_mut(|calls| calls.remove(token));
    let Some(call) = call else { return Ok(false) };
    let result = match headers {
        0 => Err(CallError::Reset),
        _ => read(call.read_body, body_size),
    };
    let now = Monotonic::of_this_callback()?;
    (call.done)(&mut Root::new(now, Timers::of_root(root)), result);
    Ok(true)
}
