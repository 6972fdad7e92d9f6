//! Headers held until the body was seen, and what becomes of a stream for which that never happens.

use crate::hostcalls::{self, Host};
use crate::property::{Prop, REQUEST_TOTAL_SIZE};
use crate::stream::StreamId;
use crate::stream::reply::Reply;
use crate::stream::waiting::{self, Direction};
use crate::time::Monotonic;
use crate::time::timers::{Parked, Timers};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// How often a stream that holds its headers is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How often nothing may have come.
const LOOKS: u32 = 50;

/// Root context, its timers, and who is watched for which message.
type Begin = fn(u32, &Rc<Timers>, StreamId, Direction) -> Host<Option<Watch>>;

/// Made by `hold_for_body` alone, so that modules without it have no code for it.
#[derive(Clone, Copy)]
pub struct Hold(Begin);

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hold")
    }
}

impl Hold {
    pub(crate) fn new() -> Hold {
        waiting::expect();
        Hold(watch)
    }

    /// `None` when nobody need be watched.
    pub(crate) fn begin(
        self,
        root: u32,
        timers: &Rc<Timers>,
        stream: StreamId,
        direction: Direction,
    ) -> Host<Option<Watch>> {
        (self.0)(root, timers, stream, direction)
    }
}

/// A stream that is watched.
pub(crate) struct Watch {
    root: u32,
    /// Whether its body was shown.
    seen: Rc<Cell<bool>>,
    over: fn(Watch),
}

impl Watch {
    /// More of the message was shown.
    pub(crate) fn over(self) {
        (self.over)(self);
    }
}

crate::vm_local! {
    /// Root contexts whose plugins are known to be shown bodies behind held headers.
    static ALLOWED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

fn watch(root: u32, timers: &Rc<Timers>, stream: StreamId, direction: Direction) -> Host<Option<Watch>> {
    if ALLOWED.with_borrow(|roots| roots.contains(&root)) {
        return Ok(None);
    }
    let seen = Rc::new(Cell::new(false));
    let arrived = match direction {
        Direction::Request => received(),
        Direction::Response => None,
    };
    let look = Look { timers: timers.clone(), seen: seen.clone(), arrived, left: LOOKS };
    look.again(stream, Monotonic::of_this_callback()?)?;
    Ok(Some(Watch { root, seen, over }))
}

fn over(watch: Watch) {
    watch.seen.set(true);
    ALLOWED.with_borrow_mut(|roots| {
        if !roots.contains(&watch.root) {
            roots.push(watch.root);
        }
    });
}

/// What has come of the request, headers included.
fn received() -> Option<u64> {
    Prop::get(&REQUEST_TOTAL_SIZE).ok().flatten()
}

struct Look {
    timers: Rc<Timers>,
    seen: Rc<Cell<bool>>,
    /// When the headers were held.
    arrived: Option<u64>,
    left: u32,
}

impl Look {
    fn again(self, stream: StreamId, now: Monotonic) -> Host<()> {
        let timers = self.timers.clone();
        timers.add(stream, now.plus(LOOK), Box::new(move |parked| self.look(parked))).map(|_| ())
    }

    fn look(mut self, parked: &mut Parked) {
        if self.seen.get() {
            return;
        }
        let stream = parked.stream();
        self.left = self.left.saturating_sub(1);
        let more = || hostcalls::set_effective_context(stream.0).is_ok() && received() > self.arrived;
        if self.left == 0 || (self.arrived.is_some() && more()) {
            crate::log!(
                Critical,
                "headers were held for a body that is not shown: allow_on_headers_stop_iteration is not true"
            );
            parked.reply(Reply::new(500, "wayside.headers_held_for_ever"));
        } else if self.again(stream, parked.now()).is_err() {
            parked.reply(Reply::new(500, "wayside.headers_held_for_ever"));
        }
    }
}
