//! What the filters of one module see of a message together: its headers are fetched once a callback, and kept as later
//! filters would find them.

use crate::headers::HeaderBlock;
use crate::hostcalls::{Buffer, Map};
use std::cell::{Cell, RefCell};

/// A header map as it was fetched, with what became of it since.
struct Kept {
    map: Map,
    block: HeaderBlock,
}

crate::vm_local! {
    /// Whether filters share a callback now. Never set in a module of one filter, which so has no code for any of this.
    static SHARED: Cell<bool> = const { Cell::new(false) };
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
    /// Of the chunk the callback is for.
    static BODY: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn begin(body_size: usize) {
    forget();
    BODY.set(body_size);
    SHARED.set(true);
}

pub(super) fn end() {
    SHARED.set(false);
    forget();
}

fn forget() {
    let kept = KEPT.take();
    drop(kept);
}

pub(super) fn body_size() -> usize {
    BODY.get()
}

/// The map as it is now, if that is known.
pub(crate) fn known(map: Map) -> Option<HeaderBlock> {
    if !SHARED.get() {
        return None;
    }
    KEPT.with_borrow(|kept| kept.as_ref().filter(|kept| kept.map == map).map(|kept| kept.block.clone()))
}

pub(crate) fn keep(map: Map, block: &HeaderBlock) {
    if SHARED.get() {
        let before = KEPT.replace(Some(Kept { map, block: block.clone() }));
        drop(before);
    }
}

/// What is kept, to be edited as Envoy edited the map; `false` where it cannot be told what Envoy made of it, and the map is to
/// be fetched again.
fn edited(map: Map, edit: impl FnOnce(&mut HeaderBlock) -> bool) {
    if SHARED.get() {
        KEPT.with_borrow_mut(|slot| {
            if let Some(kept) = slot
                && kept.map == map
                && !edit(&mut kept.block)
            {
                *slot = None;
            }
        });
    }
}

/// Envoy removes all entries of the name and adds one.
pub(crate) fn set(map: Map, name: &[u8], value: &[u8], taken: bool) {
    edited(map, |block| {
        block.remove(name);
        block.add(name, value);
        taken
    });
}

/// To a header that is there Envoy adds an entry or, for some names, to its value.
pub(crate) fn appended(map: Map, name: &[u8], value: &[u8], taken: bool) {
    edited(map, |block| {
        let new = block.find(name).is_none();
        block.add(name, value);
        taken && new
    });
}

pub(crate) fn removed(map: Map, name: &[u8], taken: bool) {
    edited(map, |block| {
        block.remove(name);
        taken
    });
}

/// Bytes of the chunk were replaced: by Envoy's rules at its start, or all behind its end.
pub(crate) fn resized(kind: Buffer, start: usize, size: usize, by: usize) {
    if SHARED.get() && matches!(kind, Buffer::RequestBody | Buffer::ResponseBody) {
        let gone = if start == 0 { size } else { 0 };
        BODY.set(BODY.get().saturating_sub(gone).saturating_add(by));
    }
}
