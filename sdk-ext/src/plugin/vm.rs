//! The contexts of one VM, and which of them a callback is for.

use super::callbacks::{CONTINUE, Callbacks};
use super::context::{Part, Plugged, StreamContext};
use super::end::{self, Rest};
use super::table::Table;
use super::{HttpFilter, Plugin};
use crate::body::{self, RequestBody, ResponseBody};
use crate::log::Level;
use crate::stream::reply::Flow;
use crate::stream::sleep;
use crate::stream::waiting::{self, Direction, Running};
use crate::stream::{
    LogCx, RequestHeaders, RequestTrailers, ResponseHeaders, ResponseTrailers, Stream, StreamId,
};
use crate::time::timers::Timers;
use crate::{callout, log, state};
use std::cell::RefCell;
use std::rc::Rc;

/// All contexts of one VM. No cell is borrowed while the host or the filter runs, so callbacks may nest.
pub struct Vm<P: Plugin> {
    roots: RefCell<Table<Rc<Plugged<P>>>>,
    /// `None` while a callback of the stream runs.
    streams: RefCell<Table<Option<Box<StreamContext<P>>>>>,
}

impl<P: Plugin> Vm<P> {
    #[must_use]
    pub const fn new() -> Vm<P> {
        Vm { roots: RefCell::new(Table::new()), streams: RefCell::new(Table::new()) }
    }

    fn root(&self, id: u32) -> Option<Rc<Plugged<P>>> {
        self.roots.borrow().get(id).cloned()
    }

    /// Runs one callback of a stream. A context that no root made, or that has a callback running, has nothing to say.
    fn stream<R>(&self, id: u32, call: impl FnOnce(&mut StreamContext<P>) -> R) -> Option<R> {
        let mut context = self.streams.borrow_mut().get_mut(id)?.take()?;
        let result = call(&mut context);
        let over = match self.streams.borrow_mut().get_mut(id) {
            Some(slot) => slot.replace(context),
            None => Some(context),
        };
        // What the filter owns is dropped when no borrow is held.
        drop(over);
        Some(result)
    }

    fn action(&self, id: u32, direction: Direction, part: Part) -> u32 {
        let _running = Running::own_callback(StreamId(id));
        self.stream(id, |context| context.call(direction, part)).unwrap_or(CONTINUE)
    }

    /// An answer came for this stream.
    fn go_on(&self, stream: Option<StreamId>) {
        if let Some(id) = stream {
            let _running = Running::for_stream(id);
            self.stream(id.0, StreamContext::go_on);
        }
    }
}

impl<P: Plugin> Default for Vm<P> {
    fn default() -> Vm<P> {
        Vm::new()
    }
}

impl<P: Plugin> std::fmt::Debug for Vm<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vm({})", P::NAME)
    }
}

impl<P: Plugin> Callbacks for Vm<P> {
    fn on_context_create(&self, id: u32, parent: u32) {
        if parent == 0 {
            crate::panic::install(P::NAME);
            let root = Rc::new(Plugged::new(Timers::of_root(id)));
            let before = self.roots.borrow_mut().insert(id, root);
            drop(before);
        } else if let Some(root) = self.root(parent) {
            let context = Some(Box::new(StreamContext::new(StreamId(id), parent, &root)));
            let before = self.streams.borrow_mut().insert(id, context);
            drop(before);
        }
    }

    fn on_configure(&self, root: u32, _size: usize) -> bool {
        let _running = Running::root();
        log::poll_level();
        self.root(root).is_some_and(|root| root.configure())
    }

    fn on_tick(&self, root: u32) {
        let _running = Running::root();
        if let Some(root) = self.root(root) {
            root.tick();
        }
        if let Some(used) = sleep::used() {
            for stream in (used.take_woken)() {
                self.go_on(callout::current(stream));
            }
        }
    }

    fn on_request_headers(&self, id: u32, _count: u32, end_of_stream: bool) -> u32 {
        self.action(id, Direction::Request, Part::Headers { end_of_stream })
    }

    fn on_request_body(&self, id: u32, size: usize, end_of_stream: bool) -> u32 {
        let part = body::Part { len: Some(size), end_of_stream, trailers_follow: false };
        self.action(id, Direction::Request, Part::Body(part))
    }

    fn on_request_trailers(&self, id: u32, _count: u32) -> u32 {
        self.action(id, Direction::Request, Part::Trailers)
    }

    fn on_response_headers(&self, id: u32, _count: u32, end_of_stream: bool) -> u32 {
        self.action(id, Direction::Response, Part::Headers { end_of_stream })
    }

    fn on_response_body(&self, id: u32, size: usize, end_of_stream: bool) -> u32 {
        let part = body::Part { len: Some(size), end_of_stream, trailers_follow: false };
        self.action(id, Direction::Response, Part::Body(part))
    }

    fn on_response_trailers(&self, id: u32, _count: u32) -> u32 {
        self.action(id, Direction::Response, Part::Trailers)
    }

    fn on_http_call_response(&self, root: u32, token: u32, headers: u32, body_size: usize, _trailers: u32) {
        if let Some(arrived) = callout::receiver_for_root() {
            let _running = Running::root();
            match arrived(root, token, headers, body_size) {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => {
                    log::write(Level::Critical, format_args!("{}: an answer is lost: {error}", P::NAME));
                    return;
                }
            }
        }
        let Some(arrived) = callout::receiver() else { return };
        let _running = Running::root();
        self.go_on(arrived(token, headers, body_size));
    }

    fn on_grpc_receive(&self, _root: u32, token: u32, size: usize) {
        let Some(receiver) = callout::grpc_receiver() else { return };
        let _running = Running::root();
        self.go_on((receiver.message)(token, size));
    }

    fn on_grpc_close(&self, _root: u32, token: u32, status: u32) {
        let Some(receiver) = callout::grpc_receiver() else { return };
        let _running = Running::root();
        self.go_on((receiver.closed)(token, status));
    }

    fn on_log(&self, id: u32) {
        let _running = Running::own_callback(StreamId(id));
        self.stream(id, |context| {
            context.end();
            context.log(|filter, info| filter.on_log(&LogCx::new(info)));
            // A timer set by what is dropped in `on_log` would outlive its stream.
            context.end();
        });
    }

    fn on_done(&self, id: u32) -> bool {
        let Some(told) = end::told() else { return true };
        // A stream has nothing to say, and most of them are streams.
        if self.root(id).is_none() {
            return true;
        }
        let _running = Running::root();
        let others = self.roots.borrow().iter().any(|(root, _)| root != id);
        told(id, if others { Rest::LivesOn } else { Rest::Dies })
    }

    fn on_delete(&self, id: u32) {
        let _running = Running::root();
        let stream = self.streams.borrow_mut().remove(id);
        if stream.is_some() {
            drop(stream);
            waiting::over(StreamId(id));
            log::forget(StreamId(id));
            return;
        }
        let root = self.roots.borrow_mut().remove(id);
        if root.is_some() {
            Timers::forget_root(id);
            end::forget(id);
        }
        drop(root);
        if self.roots.borrow().is_empty() {
            state::give_back_all();
        }
    }
}

/// Whether a callback does anything, asked of the compiler and never run: for one that was left as the trait defines it, this
/// becomes the constant `false`. The pipeline then drops its export, and hosts spare the call.
///
/// While a message is held, what comes of it must be held too: Envoy lets it go on, held headers included, where nobody is
/// asked. And whoever holds a body is shown it once more when trailers come.
macro_rules! probes {
    ($($name:ident($token:expr) $(or $($other:ident)::+)?;)*) => {
        #[derive(Debug)]
        pub(crate) enum Probe {}

        impl Probe {
            $(
                pub(crate) fn $name<P: Plugin>(filter: &mut P::Filter) -> bool {
                    let flow = filter.$name($token);
                    let acts = !matches!(flow, Flow::Continue);
                    // Never run: dropping it would only be code that hides a constant.
                    std::mem::forget(flow);
                    acts $(| $($other)::+::<P>(filter))?
                }
            )*

            pub(crate) fn on_log<P: Plugin>(filter: &mut P::Filter) -> bool {
                filter.on_log(&LogCx::new(NOBODY));
                false
            }
        }
    };
}

const NOBODY: Stream = Stream::new(StreamId(0), 0, "");
const PART: body::Part = body::Part::without_bytes(true);

fn may_hold_requests<P: Plugin>(_: &mut P::Filter) -> bool {
    waiting::is_expected()
}

/// A response is held only by what a callback of its own answers.
fn may_hold_responses<P: Plugin>(filter: &mut P::Filter) -> bool {
    Probe::on_response_headers::<P>(filter) && waiting::is_expected()
}

probes! {
    on_request_headers(RequestHeaders::new(NOBODY, true));
    on_request_body(RequestBody::new(NOBODY, PART)) or may_hold_requests;
    on_request_trailers(RequestTrailers::new(NOBODY, true)) or Probe::on_request_body;
    on_response_headers(ResponseHeaders::new(NOBODY, true));
    on_response_body(ResponseBody::new(NOBODY, PART)) or may_hold_responses;
    on_response_trailers(ResponseTrailers::new(NOBODY, true)) or Probe::on_response_body;
}
