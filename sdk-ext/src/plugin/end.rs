//! What a plugin does when its configuration goes.

use super::{Root, Table};
use crate::hostcalls::{self, Host};
use crate::time::Monotonic;
use crate::time::timers::Timers;
use std::cell::{Cell, RefCell};

/// Whether a plugin that is told of its end has something left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Now,
    /// Until [`Root::end`] is called. Envoy waits for that while the VM lives.
    Later,
}

/// What becomes of the VM when the plugin has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Another plugin lives in it, such as the one with the configuration that comes after this: answers still come, and ticks.
    LivesOn,
    /// Envoy throws it away with everything that is under way, at once and whatever was answered.
    Dies,
}

type Action = Box<dyn FnOnce(&mut Root, Rest) -> Ending>;

/// Of one root: filters of one module share it.
#[derive(Default)]
struct Ends {
    actions: Vec<Action>,
    /// How many have said [`Ending::Later`].
    waited_for: usize,
}

/// Tells a context that it has ended.
type Told = fn(u32, Rest) -> bool;

crate::vm_local! {
    static ENDS: RefCell<Table<Ends>> = const { RefCell::new(Table::new()) };
    /// Set by the first who asks: a module in which nobody does does not export the callback.
    static USED: Cell<Option<Told>> = const { Cell::new(None) };
}

/// `true` for a root that is done, and for every stream.
pub(super) fn told() -> Option<Told> {
    USED.get()
}

pub(super) fn at_end(root: u32, action: Action) {
    USED.set(Some(run));
    ENDS.with_borrow_mut(|ends| {
        if ends.get(root).is_none() {
            ends.insert(root, Ends::default());
        }
        if let Some(ends) = ends.get_mut(root) {
            ends.actions.push(action);
        }
    });
}

fn run(root: u32, rest: Rest) -> bool {
    let actions = ENDS.with_borrow_mut(|ends| Some(std::mem::take(&mut ends.get_mut(root)?.actions)));
    let Some(actions) = actions else { return true };
    let Ok(now) = Monotonic::of_this_callback() else { return true };
    let mut on_root = Root::new(now, Timers::of_root(root));
    let later =
        actions.into_iter().filter_map(|action| (action(&mut on_root, rest) == Ending::Later).then_some(()));
    let later = later.count();
    ENDS.with_borrow_mut(|ends| {
        if let Some(ends) = ends.get_mut(root) {
            ends.waited_for = ends.waited_for.saturating_add(later);
        }
    });
    later == 0
}

/// The root is gone.
pub(super) fn forget(root: u32) {
    if USED.get().is_some() {
        let ends = ENDS.with_borrow_mut(|ends| ends.remove(root));
        drop(ends);
    }
}

/// One of those that were waited for has ended.
pub(super) fn over(root: u32) -> Host<()> {
    let is_last = ENDS.with_borrow_mut(|ends| match ends.get_mut(root) {
        Some(ends) if ends.waited_for > 0 => {
            ends.waited_for = ends.waited_for.saturating_sub(1);
            ends.waited_for == 0
        }
        _ => false,
    });
    if is_last { hostcalls::done() } else { Ok(()) }
}
